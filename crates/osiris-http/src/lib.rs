#![doc = include_str!("../README.md")]
//!
//! # What is where
//!
//! * [`HttpSettings`] and [`HttpClient`]: a connection, and requests over it that are paced, bounded, repeated where that is
//!   safe, and classified.
//! * [`Request`], [`Page`], [`Streaming`], [`Failure`]: what goes out and what comes back.
//! * [`Pace`]: when the next request may be sent, shared by all clients that share a limit.
//! * [`Document`], [`RowDecoder`]: JSON rows as Arrow, every number exact.
//! * [`pages`]: from one page of a list to the next.
//! * [`Webhook`]: one document to an address that is a secret.
//!
//! This crate knows no vendor: a driver says what its vendor's error codes mean ([`HttpSettings::with_explain`]).

mod client;
mod clock;
mod coding;
mod exchange;
mod failure;
mod metrics;
mod pace;
mod page;
pub mod pages;
mod request;
mod settings;
mod tls;
mod transport;
mod webhook;

pub use client::{HttpClient, bare_client};
pub use clock::{Clock, Jitter, SimulatedClock, SystemClock};
pub use failure::{Explain, Explained, Failure, server_message};
pub use metrics::{RATE_LIMIT_WAIT_MS, REQUESTS_REPEATED, RequestCounts};
pub use pace::{Pace, RateLimit, Usage};
pub use page::{Page, Streaming};
pub use request::{Repeat, Request};
pub use settings::{Auth, HttpSettings, ProxySettings};
pub use tls::TlsSettings;
pub use transport::transport_error;
pub use webhook::Webhook;

// Types of other crates in the signatures above.
pub use bytes::Bytes;
pub use osiris_core::rows::{
    Cell, ColumnFilter, Document, FieldTree, Nested, Row, RowDecoder, RowOptions, RowPath, RowStream,
};
pub use reqwest::Method;
pub use reqwest::header::HeaderMap;
pub use url::Url;
