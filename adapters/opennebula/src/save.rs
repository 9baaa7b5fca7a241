//! A machine's disk is saved as an image at the service, and read from its datastore, since XML-RPC hands out no bytes.

use std::{
    fs::File,
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use backend::{BackendError, SaveMethod, SavedDisk};
use bytes::Bytes;
use disk_image::{ImageFormat, ImageReader, open_file};
use futures_util::stream;
use uuid::Uuid;

use crate::{
    document::{ImageDocument, ImageState, VmDocument},
    life::in_no_state_for,
    names::Id,
    oned::{Allocated, allocated},
    rpc::Call,
    site::{Site, root_disk},
    state::Standing,
};

/// Until a copy of a disk is there.
const COPIES: Duration = Duration::from_secs(30 * 60);
const CHUNK: u64 = 1 << 20;

impl Site {
    /// Whether disks can be read at all.
    pub(crate) fn saves(&self) -> bool {
        self.options.datastores.is_some()
    }

    pub(crate) async fn save(self: &Arc<Self>, id: Id, method: SaveMethod) -> Result<SavedDisk, BackendError> {
        let vm = self.settled(id).await?;
        if !matches!(vm.standing, Standing::Running | Standing::Off | Standing::Frozen) {
            return Err(in_no_state_for("save", &vm));
        }
        let copy = if method == SaveMethod::Deferred && vm.standing == Standing::Running {
            let (off, runs_after) = self.switched_off(&vm).await?;
            let copy = self.copy_disk(&off).await;
            if runs_after {
                self.finished(id, COPIES).await?;
                self.resume(&off).await?;
            }
            copy?
        } else {
            self.copy_disk(&vm).await?
        };
        copy.read().await
    }

    /// The copy, complete.
    async fn copy_disk(self: &Arc<Self>, vm: &VmDocument) -> Result<Copy, BackendError> {
        let nothing = || BackendError::Conflict(format!("machine {}: it has no disk", vm.id));
        let disk = root_disk(vm).ok_or_else(nothing)?;
        let name = format!("tombolo-save-{}", Uuid::now_v7());
        let call = Call::new("one.vm.disksaveas").with(vm.id).with(disk.id).with(name).with("").with(-1);
        let image = match allocated(self.oned.change(&call).await?)? {
            Allocated::New(id) => id,
            Allocated::NameTaken(refusal) => return Err(refusal.into()),
        };
        let copy = Copy { site: Arc::clone(self), image };
        let document = self.image_at_rest(image, COPIES).await?;
        match document.state {
            ImageState::Ready => Ok(copy),
            ImageState::Error => {
                let why = document.error.unwrap_or_else(|| "it does not say why".into());
                Err(BackendError::Failed(format!("OpenNebula could not save the disk of machine {}: {why}", vm.id)))
            }
            _ => Err(BackendError::Failed(format!("OpenNebula did not finish the copy of machine {}'s disk", vm.id))),
        }
    }
}

/// An image at the service that goes with whoever has it.
struct Copy {
    site: Arc<Site>,
    image: Id,
}

impl Drop for Copy {
    fn drop(&mut self) {
        let (site, image) = (Arc::clone(&self.site), self.image);
        let remove = async move {
            if let Err(error) = site.remove_image(image).await {
                tracing::warn!(%image, %error, "a saved copy stays at OpenNebula; delete it there");
            }
        };
        // Outside of a runtime nobody could call the service any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(remove);
        }
    }
}

impl Copy {
    async fn read(self) -> Result<SavedDisk, BackendError> {
        let image: ImageDocument = self.site.oned.object("one.image.info", self.image).await?;
        let Some(root) = self.site.options.datastores.clone() else { return Err(cannot_save()) };
        let path = place(&root, image.source.as_deref().unwrap_or_default())?;
        // What a guest wrote is what the service says it is, and never sniffed.
        let format = image.format.unwrap_or(ImageFormat::Raw);
        let opened = tokio::task::spawn_blocking(move || {
            let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            open_file(file, Some(format)).map_err(|error| format!("{}: {error}", path.display()))
        })
        .await;
        let view = opened.map_err(|error| BackendError::Failed(error.to_string()))?.map_err(|why| {
            BackendError::Failed(format!("the saved disk cannot be read: {why}; is `datastores` oned's directory?"))
        })?;
        let view: Arc<dyn ImageReader> = Arc::from(view);
        let size = view.size();
        let bytes = stream::try_unfold((self, view, 0_u64), |(copy, view, at)| async move {
            let length = CHUNK.min(view.size().saturating_sub(at));
            if length == 0 {
                return Ok(None);
            }
            let reader = Arc::clone(&view);
            let chunk = tokio::task::spawn_blocking(move || {
                let mut chunk = vec![0; usize::try_from(length).unwrap_or(0)];
                reader.read_at(at, &mut chunk).map_err(io::Error::other)?;
                Ok::<_, io::Error>(Bytes::from(chunk))
            });
            let chunk = chunk.await.map_err(io::Error::other)??;
            Ok(Some((chunk, (copy, view, at + length))))
        });
        Ok(SavedDisk { size, bytes: Box::pin(bytes) })
    }
}

pub(crate) fn cannot_save() -> BackendError {
    BackendError::Unsupported(
        "save a disk: XML-RPC hands out no bytes; set `datastores` to where oned's datastores are seen from here"
            .into(),
    )
}

/// Where a source lies, seen from here: the last two parts of its path, the datastore and the file.
fn place(root: &Path, source: &str) -> Result<PathBuf, BackendError> {
    let odd = || {
        let said = backend_http::quoted(source);
        BackendError::Failed(format!(
            "OpenNebula says that the saved disk lies at {said:?}, which is no file of a datastore"
        ))
    };
    let mut parts = Path::new(source).components().rev();
    let (Some(Component::Normal(file)), Some(Component::Normal(store))) = (parts.next(), parts.next()) else {
        return Err(odd());
    };
    let (file, store) = (file.to_str().ok_or_else(odd)?, store.to_str().ok_or_else(odd)?);
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if store.parse::<Id>().is_err() || !plain(file) {
        return Err(odd());
    }
    Ok(root.join(store).join(file))
}
