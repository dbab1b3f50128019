//! The `Link` header (RFC 8288), as far as paging needs it: the target of the link whose relation is `next`.

use osiris_core::{Error, Result};
use url::Url;

use crate::Page;

/// The URL of the next page: the target with the relation `next` in the `Link` headers of a response. A relative URL is
/// resolved against that of the response.
///
/// # Errors
/// When the link is not a URL.
pub fn next_link(answer: &Page) -> Result<Option<Url>> {
    let mut next = None;
    for header in answer.headers().get_all("link") {
        // Letters of other encodings may stand beside the link.
        let text = String::from_utf8_lossy(header.as_bytes());
        next = next.or_else(|| next_target(&text).map(str::to_owned));
    }
    let Some(target) = next else { return Ok(None) };
    // Without it the list would seem to end here.
    if target.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Error::validation("invalid `Link` header: the address of the next page is not valid UTF-8")
            .with_hint("the server must encode it: `%C3%A9` for `é`"));
    }
    answer.url().join(&target).map(Some).map_err(|error| {
        Error::validation("invalid `Link` header: the address of the next page is not a URL").with_source(error)
    })
}

/// The target in `<target>; rel="next", <other>; rel="last"`.
fn next_target(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, parameters) = after.split_once('>')?;
        let (parameters, others) = split_link(parameters);
        if parameters.split(';').any(is_next) {
            return Some(target);
        }
        rest = others;
    }
}

/// The parameters of a link, and the text after the comma that ends it: the first one outside of quotes.
fn split_link(text: &str) -> (&str, &str) {
    let mut quoted = false;
    let comma = text.char_indices().find(|(_, letter)| {
        quoted ^= *letter == '"';
        *letter == ',' && !quoted
    });
    comma.map_or((text, ""), |(at, _)| (&text[..at], &text[at + 1..]))
}

/// Whether a parameter is `rel="next"`. A link may have several relations, separated by spaces.
fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
    name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_other_links() {
        for (header, target) in [
            (
                r#"<https://a.example/?page=2>; rel="next", <https://a.example/?page=9>; rel="last""#,
                "https://a.example/?page=2",
            ),
            (r#"<https://a.example/?page=1>; rel="prev first", </b?x=1,2>; title="a, b"; REL=next"#, "/b?x=1,2"),
            (r#"<c>; rel="last next""#, "c"),
        ] {
            assert_eq!(next_target(header), Some(target), "{header}");
        }
        for header in [r#"<a>; rel="last""#, "<a>", "", r#"<a>; title="rel=next""#, "rel=next"] {
            assert_eq!(next_target(header), None, "{header}");
        }
    }
}
