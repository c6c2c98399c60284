//! Each node's server entry in the directory: what `zmprov getAllServers` and LDAP clients see of it.

use crate::config::Config;
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::directory::{Filter, Kinds, Modification, ModifyKind, Object, ObjectKind, Search};
use zcluster_api::{Actor, Freshness};
use zcluster_directory::{Directory, Failure};
use zcluster_router::Router;
use zcluster_runtime::{sleep, spawn};

/// Pause after it could not be written.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Makes the entry of this node if there is none, as soon as the directory can be reached.
pub fn start(number: u32, config: &Config, router: Arc<Router>) {
    let config = config.clone();
    spawn(async move {
        // What was read from an old replica would make a second entry.
        let directory = Directory::new(router, Freshness::Linearizable);
        while let Err(error) = make(number, &config, &directory).await {
            tracing::info!(%error, "cannot write this node's server entry yet");
            sleep(RETRY_PAUSE).await;
        }
    });
}

async fn make(number: u32, config: &Config, directory: &Directory) -> Result<(), Failure> {
    let search = Search {
        kinds: Kinds::of(&[ObjectKind::Server]),
        domain: None,
        parent: None,
        filter: Filter::equal("zclusterNodeNumber", number.to_string()),
        after: None,
        limit: 1,
    };
    if !directory.search(Actor::System, search).await?.objects.is_empty() {
        return Ok(());
    }
    let host = config.advertise();
    let attrs = attributes(number, &host, config);
    match directory.create(Actor::System, ObjectKind::Server, &host, None, attrs.clone()).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.code == "account.SERVER_EXISTS" => {
            let there = directory.named(&[ObjectKind::Server], None, &host).await?;
            if is_free(&there) {
                // It came with an import, or an administrator made it: it is this node's from now on.
                let number = Modification::set("zclusterNodeNumber", number.to_string());
                return directory.modify(Actor::System, &there, vec![number]).await.map(|_| ());
            }
            let name = format!("{host}-{number}");
            directory.create(Actor::System, ObjectKind::Server, &name, None, attrs).await.map(|_| ())
        }
        Err(failure) => Err(failure),
    }
}

fn is_free(server: &Object) -> bool {
    !server.attrs.has("zclusterNodeNumber")
}

/// What a new entry says: who it is, and Zimbra's names for what runs there.
fn attributes(number: u32, host: &str, config: &Config) -> Vec<Modification> {
    let mut services = vec!["mailbox".to_string()];
    if config.ports.smtp != 0 {
        services.push("mta".into());
    }
    let list = |name: &str| Modification { name: name.into(), kind: ModifyKind::Replace, values: services.clone() };
    vec![
        Modification::set("zclusterNodeNumber", number.to_string()),
        Modification::set("zimbraServiceHostname", host),
        list("zimbraServiceInstalled"),
        list("zimbraServiceEnabled"),
    ]
}
