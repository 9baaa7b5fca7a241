use disk_image::ImageFormat;
use serde_json::Value;

/// The formats that Glance's schema of an image allows, those of them that we know; all where it does not say.
pub(crate) fn formats(schema: &Value) -> Vec<ImageFormat> {
    let Some(allowed) = schema["properties"]["disk_format"]["enum"].as_array() else {
        return ImageFormat::ALL.to_vec();
    };
    let is_allowed = |format: &ImageFormat| allowed.iter().any(|name| name.as_str() == Some(format.name()));
    ImageFormat::ALL.into_iter().filter(is_allowed).collect()
}
