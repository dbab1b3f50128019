//! `cargo xtask api`: the public items of each published crate as text, in `docs/api`, so that a change of them is seen in review.
//!
//! They are read off the pages of rustdoc, which a stable toolchain makes; its form changes with the toolchain, so the texts are
//! compared under the one that wrote them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::args::Args;
use crate::ci::rustdoc;
use crate::{Outcome, shell, workspace};

/// Where the texts are.
const DIRECTORY: &str = "docs/api";
/// What the pages of items are called: `struct.Registry.html`.
const KINDS: [&str; 9] = ["struct", "enum", "union", "trait", "fn", "macro", "constant", "static", "type"];
/// Implementations that follow from others.
const IMPLIED: [&str; 3] =
    ["<h2 id=\"deref-methods", "<h2 id=\"synthetic-implementations\"", "<h2 id=\"blanket-implementations\""];

pub(crate) fn main(mut args: Args) -> Outcome {
    let only_check = args.flag("--check");
    args.finish()?;
    clean()?;
    rustdoc()?;
    if only_check {
        return check();
    }
    for (path, text) in texts()? {
        workspace::write(&path, &text)?;
        println!("wrote {path}");
    }
    Ok(())
}

/// Removes pages of items that are gone.
pub(crate) fn clean() -> Outcome {
    for package in workspace::packages()? {
        let directory = pages_of(&package.name);
        if directory.is_dir() {
            fs::remove_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        }
    }
    Ok(())
}

/// Compares the texts with the pages that are there.
pub(crate) fn check() -> Outcome {
    let mut stale = Vec::new();
    for (path, text) in texts()? {
        let written = workspace::read(&path).unwrap_or_default();
        let toolchain = |text: &str| text.lines().next().map(str::to_owned);
        if !written.is_empty() && toolchain(&written) != toolchain(&text) {
            println!("NOT CHECKED: {path}, which another toolchain wrote");
        } else if written != text {
            stale.push(path);
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the public API differs from: {}\nhint: run `cargo xtask api`, look at the difference, and commit it with what made it",
        stale.join(", ")
    ))
}

fn texts() -> Outcome<Vec<(String, String)>> {
    let toolchain = shell::capture(Command::new("rustc").arg("--version"))?;
    let toolchain = toolchain.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let mut texts = Vec::new();
    for package in workspace::packages()? {
        let mut items = BTreeMap::new();
        collect(&pages_of(&package.name), &package.name.replace('-', "_"), &mut items)?;
        let text: String = items.values().map(String::as_str).collect();
        texts.push((
            format!("{DIRECTORY}/{}.txt", package.name),
            format!("# {toolchain}: {} items\n{text}", items.len()),
        ));
    }
    Ok(texts)
}

fn pages_of(package: &str) -> std::path::PathBuf {
    workspace::target_dir().join("doc").join(package.replace('-', "_"))
}

/// The items below a directory of pages, by path.
fn collect(directory: &Path, path: &str, items: &mut BTreeMap<String, String>) -> Outcome {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?.path();
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if entry.is_dir() {
            collect(&entry, &format!("{path}::{name}"), items)?;
        } else if let Some((kind, item)) = name.strip_suffix(".html").and_then(|name| name.split_once('.'))
            && KINDS.contains(&kind)
        {
            let page = fs::read_to_string(&entry).map_err(failed)?;
            let mut lines = declared(&page);
            if !lines.is_empty() && !is_own(&page, path.split("::").next().unwrap_or(path)) {
                lines = vec!["(of another crate)".to_owned()];
            }
            // What a private module has is a page that leads on to where it is public.
            if !lines.is_empty() {
                let name = format!("{path}::{item}");
                let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
                items.insert(format!("{name} {kind}"), format!("\n{kind} {name}\n{lines}"));
            }
        }
    }
    Ok(())
}

/// Whether the source of an item is in the crate itself: that of another is linked or not, as chance has it.
fn is_own(page: &str, package: &str) -> bool {
    let source = page.split_once("<a class=\"src\" href=\"").and_then(|(_, rest)| rest.split('"').next());
    source.is_some_and(|source| source.contains(&format!("/src/{package}/")))
}

/// The declaration of an item, its methods, and the traits that it implements by itself.
fn declared(page: &str) -> Vec<String> {
    let Some((_, after)) = page.split_once("item-decl\"><code>") else { return Vec::new() };
    let (declaration, after) = after.split_once("</code></pre>").unwrap_or((after, ""));
    let mut lines: Vec<String> =
        text(declaration).lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let end = IMPLIED.iter().filter_map(|heading| after.find(heading)).min().unwrap_or(after.len());
    let (own, traits) = after[..end].split_once("<h2 id=\"trait-implementations\"").unwrap_or((&after[..end], ""));
    // The declaration of a trait has its methods.
    let is_trait = lines.iter().any(|line| line.starts_with("pub trait ") || line.starts_with("pub unsafe trait "));
    if !is_trait {
        lines.extend(headers(own, "h4"));
    }
    lines.extend(headers(traits, "h3"));
    lines
}

fn headers(page: &str, level: &str) -> Vec<String> {
    let (open, close) = (format!("<{level} class=\"code-header\">"), format!("</{level}>"));
    let found = page.split(&open).skip(1).filter_map(|rest| rest.split_once(&close));
    found.map(|(header, _)| text(header).split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// HTML without its marks.
fn text(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    // What follows begins a line of its own.
    let html = html.replace("<div class=\"where\">", " ").replace('ⓘ', "");
    let mut rest = html.as_str();
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        rest = after.split_once('>').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    let marks = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", " "),
        ("\u{a0}", " "),
        ("&amp;", "&"),
    ];
    marks.iter().fold(text, |text, (mark, letter)| text.replace(mark, letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_is_declared_and_leaves_out_what_follows() {
        let page = "<pre class=\"rust item-decl\"><code>pub struct A&lt;T&gt; {\n    pub b: <a href=\"x\">u8</a>,\n}</code></pre>\
            <h2 id=\"implementations\"><h3 class=\"code-header\">impl A</h3><h4 class=\"code-header\">pub fn <a>new</a>() -&gt; Self</h4>\
            <h2 id=\"trait-implementations\"><h3 class=\"code-header\">impl Clone for A</h3><h4 class=\"code-header\">fn clone()</h4>\
            <h2 id=\"synthetic-implementations\"><h3 class=\"code-header\">impl Send for A</h3>";
        assert_eq!(
            declared(page),
            ["pub struct A<T> {", "pub b: u8,", "}", "pub fn new() -> Self", "impl Clone for A"]
        );
        // Whether a name in a declaration leads to another page is up to which pages were there when it was written.
        let linked = "<pre class=\"rust item-decl\"><code>pub struct A { pub b: <a title=\"trait x::B\">B</a> }</code></pre>\
            <h2 id=\"implementations\"><h4 class=\"code-header\">pub fn new()</h4>";
        assert_eq!(declared(linked), ["pub struct A { pub b: B }", "pub fn new()"]);
        assert!(declared("<p>Redirecting to <a>x</a></p>").is_empty());
    }
}
