//! Documents are filled-in forms, and the forms were cut from recorded answers of a real daemon: the order of
//! elements, what is CDATA and what is plain, and how empty elements look, are the daemon's.

use std::borrow::Cow;

/// A form with holes: `{NAME}` takes text that is escaped, `{!NAME}` takes XML (or the inside of a CDATA section).
#[derive(Clone, Copy, Debug)]
pub struct Form(&'static str);

impl Form {
    /// A form from its file. The line break at the file's end is no part of it.
    pub const fn new(text: &'static str) -> Self {
        Self(text.trim_ascii_end())
    }

    /// Writes the form with its holes filled.
    pub fn fill<'a>(self, out: &mut String, value: impl Fn(&str) -> Cow<'a, str>) {
        let mut rest = self.0;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let (hole, behind) = after.split_once('}').unwrap_or((after, ""));
            match hole.strip_prefix('!') {
                Some(raw) => out.push_str(&value(raw)),
                None => escape(out, &value(hole)),
            }
            rest = behind;
        }
        out.push_str(rest);
    }
}

/// Writes text as the daemon writes names: with entities.
pub fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
}

/// `<ID>1</ID><ID>2</ID>`
pub fn identifiers<'a>(numbers: impl IntoIterator<Item = &'a i32>) -> String {
    numbers.into_iter().map(|n| format!("<ID>{n}</ID>")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled() {
        let mut out = String::new();
        Form::new("<A><B>{B}</B>{!C}</A>\n").fill(&mut out, |hole| match hole {
            "B" => "x & y".into(),
            _ => "<C/>".into(),
        });
        assert_eq!(out, "<A><B>x &amp; y</B><C/></A>");
    }
}
