//! A page of HTML taken apart, more strictly than a browser does: what is not well-formed is an error.

/// Elements without an end tag.
const VOID: &[&str] = &["br", "hr", "img", "input", "link", "meta"];

/// What text may hold after an ampersand.
const ENTITIES: &[(&str, &str)] = &[("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];

/// A page.
#[derive(Debug, Default)]
pub struct Document {
    /// The start tags, in order.
    pub tags: Vec<Tag>,
    /// All text between tags, one after the other.
    pub text: String,
}

/// A start tag.
#[derive(Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: String,
    /// Its attributes, in order.
    pub attributes: Vec<(String, String)>,
}

impl Document {
    /// Takes a page apart.
    ///
    /// # Errors
    /// It is not well-formed; says where.
    pub fn parse(html: &str) -> Result<Self, String> {
        let mut rest = html.strip_prefix("<!doctype html>").ok_or("there is no doctype")?;
        let (mut document, mut open) = (Self::default(), Vec::<String>::new());
        while let Some((text, after)) = rest.split_once('<') {
            document.text.push_str(&text_of(text)?);
            let (tag, after) = after.split_once('>').ok_or_else(|| format!("a tag has no end: {after}"))?;
            rest = after;
            if let Some(name) = tag.strip_prefix('/') {
                match open.pop() {
                    Some(last) if last == name => continue,
                    last => return Err(format!("</{name}> closes {last:?}")),
                }
            }
            let tag = Tag::parse(tag)?;
            if !VOID.contains(&tag.name.as_str()) {
                open.push(tag.name.clone());
            }
            document.tags.push(tag);
        }
        document.text.push_str(&text_of(rest)?);
        if open.is_empty() { Ok(document) } else { Err(format!("not closed: {open:?}")) }
    }

    /// The tags of a name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Tag> {
        self.tags.iter().filter(move |tag| tag.name == name)
    }
}

impl Tag {
    fn parse(tag: &str) -> Result<Self, String> {
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let (name, mut rest) = tag.split_at(tag.find(' ').unwrap_or(tag.len()));
        let mut attributes = Vec::new();
        while !rest.is_empty() {
            let wrong = || format!("not an attribute of <{name}>: {rest}");
            let (key, after) = rest.strip_prefix(' ').and_then(|rest| rest.split_once("=\"")).ok_or_else(wrong)?;
            let (value, after) = after.split_once('"').ok_or_else(wrong)?;
            if !is_name(key) {
                return Err(wrong());
            }
            attributes.push((key.to_owned(), text_of(value)?));
            rest = after;
        }
        if !is_name(name) {
            return Err(format!("not a tag: {tag}"));
        }
        Ok(Self { name: name.to_owned(), attributes })
    }

    /// The names of its attributes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|(name, _)| name.as_str())
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The text that a source stands for.
fn text_of(source: &str) -> Result<String, String> {
    if let Some(c) = source.chars().find(|c| *c == '>' || (c.is_control() && !matches!(c, '\n' | '\t'))) {
        return Err(format!("{c:?} in a text: {source}"));
    }
    let mut ampersands = source.match_indices('&').map(|(at, _)| &source[at..]);
    match ampersands.find(|text| !ENTITIES.iter().any(|(entity, _)| text.starts_with(entity))) {
        Some(text) => Err(format!("not an entity: {text}")),
        None => Ok(unescape(source)),
    }
}

/// A text without its entities.
pub fn unescape(source: &str) -> String {
    ENTITIES.iter().fold(source.to_owned(), |text, (entity, letter)| text.replace(entity, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_well_formed_is_taken_apart() {
        let page =
            Document::parse("<!doctype html>\n<p class=\"a &quot;b\" id=\"c\">x &amp;lt; <b>y</b></p><hr>").unwrap();
        let names: Vec<&str> = page.tags.iter().map(|tag| tag.name.as_str()).collect();
        assert_eq!(names, ["p", "b", "hr"]);
        assert_eq!(page.text, "\nx &lt; y");
        assert_eq!((page.tags[0].attribute("class"), page.tags[0].attribute("id")), (Some("a \"b"), Some("c")));
    }

    #[test]
    fn what_is_not_is_refused() {
        for wrong in
            ["<p>", "</p>", "<p></b>", "<p a=b></p>", "<p a=\"b></p>", "a > b", "a & b", "<p a></p>", "a\u{0}b", "< p>"]
        {
            assert!(Document::parse(&format!("<!doctype html>{wrong}")).is_err(), "{wrong}");
        }
        assert!(Document::parse("<p></p>").is_err());
    }
}
