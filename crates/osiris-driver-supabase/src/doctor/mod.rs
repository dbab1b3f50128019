//! Checks whether a connection works, and what to do if not. Never fails; core masks secrets in the messages.
//!
//! The result is about the channel of the rows. If the connection also has the other one, it is checked at the same
//! time, and its result is a detail.

mod rest;

use std::path::Path;
use std::time::Duration;

use osiris_core::{Error, Health, Result};
use osiris_driver_postgres::doctor::{Report, report};
use osiris_sql::CheckLimit;

use crate::client::advice::by_own_fields;
use crate::client::{Channel, Client, Connect, Target};
use crate::config::SupabaseConnection;
use crate::discover::SERVICE_SCHEMAS;

/// Checks the channel of the rows, and the other one, within `limit`.
pub(crate) async fn check(connect: &Connect, connection: &SupabaseConnection, limit: Duration) -> Health {
    let check = CheckLimit::start(limit);
    let target = Target::new(connection, Path::new(".")).once(check.connecting());
    let channel = match Client::prepare(target.clone()) {
        Ok(client) => client.channel(),
        Err(error) => return Health::failed(check.elapsed(), &error),
    };
    let own = check.ask(connection.connect_timeout, ask(connect, target.clone(), channel));
    let other = check.ask(connection.connect_timeout, other(connect, &target, channel));
    let (own, other) = futures::future::join(own, other).await;
    let health = match own {
        Ok(report) => healthy(&report, check.elapsed()),
        Err(error) => Health::failed(check.elapsed(), &error),
    };
    let health = health.with_detail("channel", channel.name());
    let health = match (&connection.direct, &connection.rest) {
        (Some(address), _) if channel == Channel::Postgres => {
            health.with_detail("address", address.address.to_string())
        }
        (_, Some(address)) => health.with_detail("url", address.url.as_str()),
        _ => health,
    };
    match other {
        Ok(None) => health,
        Ok(Some((name, report))) => health.with_detail(name, report.message),
        Err(error) => health.with_detail("other_channel", said(&error)),
    }
}

async fn ask(connect: &Connect, target: Target, channel: Channel) -> Result<Report> {
    match channel {
        Channel::Postgres => {
            let client = connect(target).await?;
            let report = report(&client.direct().await?, &SERVICE_SCHEMAS).await.map_err(by_own_fields)?;
            client.close().await;
            Ok(report)
        }
        Channel::Rest => rest::report(&connect(target).await?.rest()?).await,
    }
}

/// The other channel, if any.
async fn other(connect: &Connect, target: &Target, channel: Channel) -> Result<Option<(&'static str, Report)>> {
    let mut target = target.clone();
    Ok(match channel {
        Channel::Postgres if target.connection.rest.is_some() => {
            target.connection.channel = crate::config::ChannelChoice::Rest;
            Some(("rest", ask(connect, target, Channel::Rest).await?))
        }
        Channel::Rest if target.connection.direct.is_some() => {
            target.connection.channel = crate::config::ChannelChoice::Postgres;
            Some(("postgres", ask(connect, target, Channel::Postgres).await?))
        }
        _ => None,
    })
}

fn healthy(report: &Report, latency: Duration) -> Health {
    let mut message = report.message.clone();
    for remark in &report.remarks {
        message = format!("{message}; {remark}");
    }
    let health = Health::ok(latency, message);
    report.details.iter().fold(health, |health, (key, value)| health.with_detail(*key, value.clone()))
}

fn said(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{}: {hint}", error.message()),
        None => error.message().to_owned(),
    }
}
