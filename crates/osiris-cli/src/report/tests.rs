//! The page, tested without a run.

use osiris::core::visible;
use osiris::pipeline::AttemptEnd;
use osiris_e2e::html::Document;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A report that says `text` wherever a run says something.
fn report(text: &str) -> Report {
    let tones = [Tone::Good, Tone::Bad, Tone::Unclear, Tone::Busy, Tone::Idle];
    let steps = tones.iter().enumerate().map(|(number, tone)| step(text, number, Status::new("said in words", *tone)));
    let reason = json!({"rows": 1, "first_row": 3, "column": text, "reason": text});
    Report {
        pipeline: text.to_owned(),
        run_id: text.to_owned(),
        status: Status::new("failed", Tone::Bad),
        started: text.to_owned(),
        program: Some(text.to_owned()),
        profile: Some(text.to_owned()),
        params: vec![(text.to_owned(), text.to_owned())],
        balanced: Some(true),
        length_ms: 100,
        steps: steps.collect(),
        errors: vec![ReportError { text: text.to_owned(), hint: Some(text.to_owned()) }],
        warnings: vec![text.to_owned()],
        rejects: vec![StepRejects {
            step: text.to_owned(),
            total: 1,
            reasons: vec![serde_json::from_value(reason).unwrap()],
            rows: vec![Reject {
                row_number: Some(3),
                column: Some(text.to_owned()),
                reason: text.to_owned(),
                row: Some(text.to_owned()),
            }],
        }],
        ..Report::default()
    }
}

/// The step with this number, which reads the table of the first.
fn step(text: &str, number: usize, status: Status) -> ReportStep {
    let reads = if number == 0 { Vec::new() } else { vec![format!("{text}0")] };
    ReportStep {
        id: format!("{text}{number}"),
        component: text.to_owned(),
        mode: "read",
        status,
        reads,
        rows: 1_200,
        bytes: Some(1_500),
        time: Some(Duration::from_millis(100)),
        attempts: vec![
            StepAttempt { offset_ms: 0, duration_ms: 40, end: AttemptEnd::Failed },
            StepAttempt { offset_ms: 50, duration_ms: 50, end: AttemptEnd::Done },
        ],
        columns: vec![StepColumn { name: text.to_owned(), column_type: text.to_owned() }],
        counts: StepCounts { read: 1_200, updated: 7, ..StepCounts::default() },
        ..ReportStep::default()
    }
}

/// The tags of a page, with the names of their attributes.
fn shape(document: &Document) -> Vec<(&str, Vec<&str>)> {
    document.tags.iter().map(|tag| (tag.name.as_str(), tag.names().collect())).collect()
}

fn parsed(report: &Report) -> Document {
    let html = report.to_html();
    Document::parse(&html).unwrap_or_else(|error| panic!("{error}\n{html}"))
}

proptest! {
    // A page is long: a few texts take as long as many elsewhere.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_of_a_run_changes_the_page_around_it(text in any::<String>(), markup in "[<>\"'&;/=a-c\\-!\\x00-\\x1f ]{0,30}") {
        let plain = parsed(&report("x"));
        for text in [&text, &markup, &format!("</td><script>{text}\"{markup}")] {
            let page = parsed(&report(text));
            prop_assert_eq!(shape(&page), shape(&plain));
            prop_assert!(page.text.contains(&*visible(text)));
        }
    }
}

#[test]
fn a_page_loads_nothing_and_runs_nothing() {
    let page = parsed(&report("https://example.com/x.js"));
    let policy = page.named("meta").find(|tag| tag.attribute("http-equiv") == Some("Content-Security-Policy")).unwrap();
    assert!(policy.attribute("content").unwrap().starts_with("default-src 'none';"), "{policy:?}");
    for tag in &page.tags {
        assert!(
            !["a", "base", "iframe", "img", "link", "object", "script", "use"].contains(&tag.name.as_str()),
            "{tag:?}"
        );
        for name in tag.names() {
            let is_reference = ["href", "src", "srcset", "style", "xmlns", "action"].contains(&name);
            assert!(!is_reference && !name.starts_with("on"), "{tag:?}");
        }
    }
    let css = include_str!("style.css");
    assert!(!css.contains("url(") && !css.contains("@import") && !css.contains("//"), "a style sheet can load, too");
}

#[test]
fn a_page_can_be_heard_and_read_on_a_phone() {
    let page = parsed(&report("x"));
    assert_eq!(page.named("html").next().unwrap().attribute("lang"), Some("en"));
    assert!(page.named("meta").any(|tag| tag.attribute("name") == Some("viewport")));
    let levels: Vec<u8> = page.tags.iter().filter_map(|tag| tag.name.strip_prefix('h')?.parse().ok()).collect();
    assert_eq!((levels[0], levels.iter().filter(|level| **level == 1).count()), (1, 1), "{levels:?}");
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
    assert_eq!(page.named("table").count(), page.named("caption").count());
    for (index, tag) in page.tags.iter().enumerate() {
        let (before, next) = (&page.tags[index.saturating_sub(1)], page.tags.get(index + 1));
        match tag.name.as_str() {
            "table" => assert_eq!(before.attribute("class"), Some("scroll"), "{tag:?}"),
            "th" => assert!(matches!(tag.attribute("scope"), Some("col" | "row")), "{tag:?}"),
            "svg" => {
                assert_eq!(tag.attribute("role"), Some("img"));
                assert_eq!(next.map(|next| next.name.as_str()), Some("title"));
            }
            _ => {}
        }
    }
}

#[test]
fn a_status_is_said_in_words() {
    let page = parsed(&report("x"));
    for sign in ["✓", "✗", "!", "…", "–"] {
        // In the graph and in the table.
        assert_eq!(page.text.matches(&format!("{sign} said in words")).count(), 2, "{sign}");
    }
    assert!(page.text.contains("✗ failed"), "{}", page.text);
}

#[test]
fn the_numbers_of_a_step_are_those_of_its_ledger() {
    let page = report("x").to_html();
    let ledger = &page[page.find("<h2>Ledger</h2>").unwrap()..];
    for cell in ["<td class=\"number\">1,200</td>", "<td class=\"number\">7</td>", ">updated</th>"] {
        assert!(ledger.contains(cell), "{cell}\n{ledger}");
    }
    assert!(!ledger.contains(">inserted</th>"), "no step inserted rows: {ledger}");
    // 1,200 rows in a tenth of a second.
    for cell in ["<td class=\"number\">1.5 kB</td>", "<td class=\"number\">12,000</td>"] {
        assert!(page.contains(cell), "{cell}\n{page}");
    }
}

#[test]
fn a_run_without_steps_has_a_page() {
    let page = parsed(&Report { pipeline: "empty".to_owned(), ..Report::default() });
    assert!(page.text.contains("No step has begun.") && page.text.contains("not ended"), "{}", page.text);
    assert_eq!(page.named("svg").count(), 0);
}
