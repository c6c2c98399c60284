//! Other directories: the way to them, and accounts that come from there by themselves.

use crate::config::Auth;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::{DirectoryApi, DirectoryQuery, DirectoryReply, Freshness};
use zcluster_auth::{Provisioner, poll_is_due};
use zcluster_external::{ExternalConfig, LdapClient};
use zcluster_router::Router;
use zcluster_runtime::{sleep, wall_ms};

/// How often domains are looked at for whether their poll is due.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// The way to other directories, and what makes accounts of their entries.
///
/// # Errors
/// The file of certificate authorities.
pub fn open(config: &Auth, router: &Arc<Router>) -> Result<(Arc<LdapClient>, Provisioner)> {
    let settings = ExternalConfig {
        connect_timeout: Duration::from_secs(config.ldap_connect_seconds.max(1)),
        answer_timeout: Duration::from_secs(config.ldap_answer_seconds.max(1)),
        ..ExternalConfig::default()
    };
    let client = LdapClient::new(settings, config.ldap_ca.as_deref()).context("auth.ldap_ca")?;
    let client = Arc::new(client);
    let choose = router.clone();
    let choose_shard = Arc::new(move || choose.choose_shard());
    Ok((client.clone(), Provisioner::new(router.clone(), client, choose_shard)))
}

/// Polls for new accounts (`zimbraAutoProvMode` EAGER) as long as this node leads the directory.
pub async fn poll(router: Arc<Router>, provisioner: Provisioner) {
    loop {
        sleep(LOOK_EVERY).await;
        if router.leads_directory() {
            poll_domains(&*router, &provisioner).await;
        }
    }
}

async fn poll_domains(directory: &dyn DirectoryApi, provisioner: &Provisioner) {
    let config = match directory.read(DirectoryQuery::Cluster, Freshness::Local).await {
        Ok(DirectoryReply::Cluster(cluster)) => cluster.config,
        _ => return,
    };
    let Ok(DirectoryReply::Domains(domains)) = directory.read(DirectoryQuery::Domains, Freshness::Local).await else {
        return;
    };
    let interval = config.get("zimbraAutoProvPollingInterval");
    for domain in domains.iter().filter(|d| poll_is_due(d, interval, wall_ms())) {
        match provisioner.poll(domain, wall_ms()).await {
            Ok(polled) => tracing::info!(
                domain = %domain.name, seen = polled.seen, made = polled.made, failed = polled.failed,
                more = polled.more, "polled an external directory"
            ),
            Err(error) => tracing::warn!(domain = %domain.name, %error, "cannot poll an external directory"),
        }
    }
}
