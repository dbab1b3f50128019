//! HTML, written so that no text can leave its place: tags and the names of attributes are the program's own, and all else is
//! escaped by one function.

use osiris::core::visible;

/// The attributes of an element. Values are always written in double quotes.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

/// A document in the making. An element is closed where it ends, by construction.
pub(super) struct Html {
    text: String,
}

impl Html {
    pub(super) fn document() -> Self {
        Self { text: "<!doctype html>\n".to_owned() }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// An element with others in it.
    pub(super) fn inside(&mut self, tag: &'static str, attributes: Attributes<'_>, content: impl FnOnce(&mut Self)) {
        self.open(tag, attributes);
        content(self);
        self.close(tag);
        self.text.push('\n');
    }

    /// An element with a text.
    pub(super) fn element(&mut self, tag: &'static str, attributes: Attributes<'_>, text: &str) {
        self.open(tag, attributes);
        self.text.push_str(&escape(text));
        self.close(tag);
    }

    /// An element that has no end tag, such as `meta`.
    pub(super) fn void(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.open(tag, attributes);
        self.text.push('\n');
    }

    /// The style sheet, which is not escaped: it is the program's own.
    pub(super) fn style(&mut self, css: &'static str) {
        self.open("style", &[]);
        self.text.push_str(css);
        self.close("style");
        self.text.push('\n');
    }

    fn open(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.text.push('<');
        self.text.push_str(tag);
        for (name, value) in attributes {
            self.text.push_str(&format!(" {name}=\"{}\"", escape(value)));
        }
        self.text.push('>');
    }

    fn close(&mut self, tag: &'static str) {
        self.text.push_str(&format!("</{tag}>"));
    }
}

/// A text as it stands in an element or in a quoted attribute. Control characters, which HTML cannot hold or which turn the
/// text around, are written out.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use osiris_e2e::html::{Document, unescape};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_html_would_obey_is_text() {
        assert_eq!(escape("<script a=\"b\" c='d'>&amp;"), "&lt;script a=&quot;b&quot; c=&#39;d&#39;&gt;&amp;amp;");
        assert_eq!(escape("a\0\u{1b}\u{202e}\r\nb\tc"), "a\\u{0}\\u{1b}\\u{202e}\\u{d}\nb\tc");
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_element_or_attribute(text in any::<String>(), markup in "[<>\"'&;/=a-c\\-!\\x00-\\x1f ]{0,30}") {
            for text in [&text, &markup, &format!("{text}{markup}{text}")] {
                let mut html = Html::document();
                html.inside("main", &[("title", text.as_str()), ("class", "x")], |html| {
                    html.element("p", &[("title", text.as_str())], text);
                });
                let html = html.finish();
                let document = Document::parse(&html).map_err(TestCaseError::fail)?;
                let shown = visible(text).into_owned();
                let tags: Vec<&str> = document.tags.iter().map(|tag| tag.name.as_str()).collect();
                prop_assert_eq!(tags, ["main", "p"]);
                let expected = [("title".to_owned(), shown.clone()), ("class".to_owned(), "x".to_owned())];
                prop_assert_eq!(&document.tags[0].attributes[..], &expected[..]);
                prop_assert_eq!(&document.tags[1].attributes[..], &expected[..1]);
                prop_assert_eq!(document.text.trim_matches('\n'), shown.trim_matches('\n'));
                prop_assert_eq!(unescape(&escape(text)), shown);
            }
        }
    }
}
