//! What a server reports of its rate limit, in any of the header formats in use. Decides nothing.

use std::time::{Duration, SystemTime};

use chrono::DateTime;
use reqwest::header::HeaderMap;
use sfv::{BareItem, Dictionary, Item, List, ListEntry, Parser};

/// How much of a limit is used.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// The name of the limit, where a server has several; empty for the only one.
    pub name: String,
    /// Requests, or points, in the window.
    pub limit: Option<f64>,
    /// How many of them are left.
    pub remaining: f64,
    /// The time until `limit` requests are left again; a minute when the server does not say.
    pub reset: Option<Duration>,
}

impl Usage {
    /// A limit reported in the body of a response, such as the cost of GraphQL queries.
    pub fn new(limit: f64, remaining: f64, reset: Option<Duration>) -> Self {
        Self { name: "body".to_owned(), limit: Some(limit), remaining, reset }
    }

    /// Every limit that these headers report.
    pub(crate) fn from_headers(headers: &HeaderMap, wall: SystemTime) -> Vec<Self> {
        let standard = structured(headers);
        if !standard.is_empty() {
            return standard;
        }
        ["x-ratelimit-", "x-rate-limit-", "ratelimit-"]
            .iter()
            .filter_map(|prefix| conventional(headers, prefix, wall))
            .chain(BUCKETS.iter().filter_map(|name| bucket(text(headers, name)?)))
            .collect()
    }
}

/// Headers of the form `used/limit`: Shopify (<https://shopify.dev/docs/api/usage/limits>) and Recharge
/// (<https://developer.rechargepayments.com/2021-11/rate_limits>).
const BUCKETS: [&str; 2] = ["x-shopify-shop-api-call-limit", "x-recharge-limit"];
/// How long such a bucket takes from full to empty: 40 at 2 a second, or ten times that.
const BUCKET_SECONDS: f64 = 20.0;

/// `32/40`: requests in a bucket that empties steadily. Anything else is no limit.
fn bucket(text: &str) -> Option<Usage> {
    let (used, limit) = text.split_once('/')?;
    let number = |text: &str| text.trim().parse::<u32>().ok().map(f64::from);
    let (used, limit) = (number(used)?, number(limit).filter(|limit| *limit > 0.0)?);
    let reset = Duration::try_from_secs_f64(used / limit * BUCKET_SECONDS).ok()?;
    Some(Usage { name: String::new(), limit: Some(limit), remaining: (limit - used).max(0.0), reset: Some(reset) })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// `X-RateLimit-Limit`, `-Remaining`, `-Reset` and the first IETF drafts. A limit may be followed by a comma and its
/// policy.
fn conventional(headers: &HeaderMap, prefix: &str, wall: SystemTime) -> Option<Usage> {
    let part = |name: &str| text(headers, &format!("{prefix}{name}"));
    let number = |text: &str| text.split([',', ';']).next()?.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    let remaining = number(part("remaining")?)?;
    let after = part("reset-after").and_then(number).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let reset = after.or_else(|| part("reset").and_then(|text| reset(text, wall)));
    Some(Usage { name: String::new(), limit: part("limit").and_then(number), remaining, reset })
}

/// Seconds from now, seconds or milliseconds since 1970, an HTTP date or an ISO 8601 one: all are in use under one name.
fn reset(text: &str, wall: SystemTime) -> Option<Duration> {
    // September 2001: smaller numbers are seconds from now.
    const MIN_EPOCH_SECONDS: f64 = 1e9;
    const MIN_EPOCH_MILLISECONDS: f64 = 1e12;
    let reset_at = match text.parse::<f64>() {
        Ok(number) if number >= MIN_EPOCH_MILLISECONDS => {
            SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(number / 1000.0).ok()?)?
        }
        Ok(number) if number >= MIN_EPOCH_SECONDS => {
            SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(number).ok()?)?
        }
        Ok(number) => return Duration::try_from_secs_f64(number).ok(),
        Err(_) => match httpdate::parse_http_date(text) {
            Ok(date) => date,
            Err(_) => DateTime::parse_from_rfc3339(text).ok()?.into(),
        },
    };
    Some(reset_at.duration_since(wall).unwrap_or_default())
}

/// The `RateLimit` and `RateLimit-Policy` fields of the IETF drafts (draft-ietf-httpapi-ratelimit-headers), as structured
/// fields (RFC 9651): the list of the later drafts, `"default";r=50;t=30`, and the dictionary before them,
/// `limit=100, remaining=50, reset=30`.
fn structured(headers: &HeaderMap) -> Vec<Usage> {
    let Some(field) = text(headers, "ratelimit") else { return Vec::new() };
    if let Ok(list) = Parser::new(field).parse::<List>() {
        let quotas = text(headers, "ratelimit-policy")
            .and_then(|policy| Parser::new(policy).parse::<List>().ok())
            .unwrap_or_default();
        let usages: Vec<_> = items(&list).filter_map(|item| from_item(item, &quotas)).collect();
        if !usages.is_empty() {
            return usages;
        }
    }
    let Ok(dictionary) = Parser::new(field).parse::<Dictionary>() else { return Vec::new() };
    let member = |name: &str| match dictionary.get(name) {
        Some(ListEntry::Item(item)) => number(&item.bare_item),
        _ => None,
    };
    let Some(remaining) = member("remaining") else { return Vec::new() };
    vec![Usage { name: String::new(), limit: member("limit"), remaining, reset: member("reset").and_then(seconds) }]
}

fn items(list: &List) -> impl Iterator<Item = &Item> {
    list.iter().filter_map(|entry| match entry {
        ListEntry::Item(item) => Some(item),
        ListEntry::InnerList(_) => None,
    })
}

fn from_item(item: &Item, quotas: &List) -> Option<Usage> {
    let parameter = |item: &Item, name: &str| item.params.get(name).and_then(number);
    let name = label(&item.bare_item)?;
    let quota = items(quotas).find(|quota| label(&quota.bare_item).as_ref() == Some(&name));
    Some(Usage {
        remaining: parameter(item, "r")?,
        limit: quota.and_then(|quota| parameter(quota, "q")),
        reset: parameter(item, "t").and_then(seconds),
        name,
    })
}

fn label(item: &BareItem) -> Option<String> {
    match item {
        BareItem::String(text) => Some(text.as_str().to_owned()),
        BareItem::Token(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

fn number(item: &BareItem) -> Option<f64> {
    match item {
        BareItem::Integer(number) => number.to_string().parse().ok(),
        BareItem::Decimal(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderName, HeaderValue};

    fn read(headers: &[(&str, &str)]) -> Vec<Usage> {
        let pair = |(name, value): &(&str, &str)| -> (HeaderName, HeaderValue) {
            (name.parse().unwrap(), value.parse().unwrap())
        };
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        Usage::from_headers(&headers.iter().map(pair).collect(), wall)
    }

    fn usage(name: &str, limit: Option<f64>, remaining: f64, reset: Option<u64>) -> Usage {
        Usage { name: name.to_owned(), limit, remaining, reset: reset.map(Duration::from_secs) }
    }

    #[test]
    fn every_dialect_in_use_is_understood() {
        let expected = vec![usage("", Some(100.0), 50.0, Some(30))];
        for reset in ["30", "1700000030", "1700000030000", "Tue, 14 Nov 2023 22:13:50 GMT", "2023-11-14T22:13:50Z"] {
            for prefix in ["X-RateLimit", "X-Rate-Limit", "RateLimit"] {
                let names = ["Limit", "Remaining", "Reset"].map(|name| format!("{prefix}-{name}").to_lowercase());
                let headers = [(&*names[0], "100"), (&*names[1], "50"), (&*names[2], reset)];
                assert_eq!(read(&headers), expected, "{prefix} {reset}");
            }
        }
        assert_eq!(read(&[("ratelimit", "limit=100, remaining=50, reset=30")]), expected);
        assert_eq!(
            read(&[("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "50"), ("ratelimit-reset", "30")]),
            expected
        );
        assert_eq!(
            read(&[("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", "50"), ("x-ratelimit-reset-after", "30")]),
            expected
        );
        assert_eq!(read(&[("x-shopify-shop-api-call-limit", "32/40")]), [usage("", Some(40.0), 8.0, Some(16))]);
        assert_eq!(
            read(&[("x-recharge-limit", " 45 / 40 ")]),
            [usage("", Some(40.0), 0.0, Some(22))]
                .map(|usage| Usage { reset: Some(Duration::from_millis(22_500)), ..usage })
        );
    }

    #[test]
    fn a_server_may_have_several_limits() {
        let headers = [
            ("ratelimit-policy", r#""burst";q=100;w=60, "daily";q=1000;w=86400"#),
            ("ratelimit", r#""burst";r=50;t=30, "daily";r=1"#),
        ];
        let expected = vec![usage("burst", Some(100.0), 50.0, Some(30)), usage("daily", Some(1000.0), 1.0, None)];
        assert_eq!(read(&headers), expected);
    }

    #[test]
    fn invalid_headers_are_ignored_and_a_reset_in_the_past_is_now() {
        assert_eq!(read(&[("x-ratelimit-remaining", "many"), ("x-ratelimit-limit", "100")]), []);
        assert_eq!(read(&[("ratelimit", "???")]), []);
        for bucket in ["32", "32/", "/40", "a/b", "-1/40", "32/0", "1e999/40", "NaN/40", "32/40/8", ""] {
            assert_eq!(read(&[("x-shopify-shop-api-call-limit", bucket)]), [], "{bucket}");
        }
        assert_eq!(
            read(&[("x-ratelimit-remaining", "5"), ("x-ratelimit-reset", "1600000000")]),
            [usage("", None, 5.0, Some(0))]
        );
    }
}
