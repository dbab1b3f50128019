//! JSON documents to an address that is a secret: whoever knows it can post to it.

use std::fmt;
use std::time::Duration;

use osiris_core::{MASK, Redactor, Result, RetryPolicy, Secret};
use serde_json::Value;
use url::Position;

use crate::client::HttpClient;
use crate::request::{Request, shown};
use crate::settings::HttpSettings;

/// Parts of an address from this length on are masked where they stand alone: shorter ones are words, such as `services`.
const SECRET_FROM: usize = 12;

/// The same for those with a digit, which words do not have.
const SECRET_WITH_DIGIT_FROM: usize = 6;

/// An address that documents are posted to.
pub struct Webhook {
    settings: HttpSettings,
}

impl Webhook {
    /// The webhook at `address`.
    ///
    /// # Errors
    /// When it is not an http or https URL, or contains credentials.
    pub fn new(address: &Secret) -> Result<Self> {
        let mut settings = HttpSettings::new(address.expose())?;
        settings.redactor = parts(address.expose(), &settings);
        Ok(Self { settings: settings.with_retry(RetryPolicy::never()).with_response_limit(1 << 20) })
    }

    /// Knows the address and those parts of it that may be secret alone.
    pub fn redactor(&self) -> &Redactor {
        &self.settings.redactor
    }

    /// Posts a document once, within `limit`. Redirects are followed as by any [client](HttpClient): not to another host.
    ///
    /// # Errors
    /// When there is no answer in time, or one other than success. The address is masked.
    pub async fn post(&self, document: &Value, limit: Duration) -> Result<()> {
        let settings =
            self.settings.clone().with_connect_timeout(limit).with_request_timeout(limit).with_total_timeout(limit);
        let client = HttpClient::new(settings)?;
        let request = Request::post(client.base_url().clone()).json(document)?.what("the webhook");
        client.fetch(&request).await.map(drop)
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

fn parts(address: &str, settings: &HttpSettings) -> Redactor {
    let url = &settings.base;
    let given = address.split(['?', '#']).next().unwrap_or_default();
    let on_the_wire = &url[Position::BeforePath..Position::AfterQuery];
    let mut redactor = Redactor::new([address, given, url.as_str(), shown(url).as_str(), on_the_wire, url.path()]);
    let path = url.path().split('/');
    let query = url.query().unwrap_or_default().split(['&', '=']);
    let host = url.host_str().unwrap_or_default().split('.');
    path.chain(query).chain(host).filter(|part| may_be_secret(part)).for_each(|part| redactor.add(part));
    redactor
}

fn may_be_secret(part: &str) -> bool {
    let least = if part.bytes().any(|byte| byte.is_ascii_digit()) { SECRET_WITH_DIGIT_FROM } else { SECRET_FROM };
    part.len() >= least
}
