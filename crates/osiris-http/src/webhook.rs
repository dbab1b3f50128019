//! JSON documents to an address that is a secret: whoever knows it can post to it.

use std::fmt;
use std::time::Duration;

use osiris_core::{MASK, Redactor, Result, RetryPolicy, Secret};
use serde_json::Value;

use crate::client::HttpClient;
use crate::request::Request;
use crate::settings::HttpSettings;

/// Parts of an address from this length on are masked where they stand alone: shorter ones are words, such as `services`.
const SECRET_FROM: usize = 12;

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

    /// Knows the address and its parts, the host apart.
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
    let mut redactor = Redactor::new([address, url.as_str()]);
    let path = std::iter::once(url.path()).chain(url.path().split('/'));
    let query = url.query().unwrap_or_default().split(['&', '=']);
    path.chain(query).filter(|part| part.len() >= SECRET_FROM).for_each(|part| redactor.add(part));
    redactor
}
