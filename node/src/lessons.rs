//! Lessons for the spam filter as mails to `zimbraSpamIsSpamAccount` and `zimbraSpamIsNotSpamAccount`.

use futures::future::BoxFuture;
use std::sync::Arc;
use zcluster_api::directory::{AccountBy, Attributes};
use zcluster_api::{DirectoryApi, DirectoryQuery, DirectoryReply, Freshness};
use zcluster_delivery::{Arrival, Deliverer, Identity, Recipient};
use zcluster_runtime::{random_bytes, wall_ms};
use zcluster_screen::trainer::{Class, Lesson, Post};
use zcluster_screen::{Report, report};

/// Delivers them to mailboxes of this cluster.
pub struct Letters {
    directory: Arc<dyn DirectoryApi>,
    delivery: Arc<Deliverer>,
    host: String,
}

impl Letters {
    /// Letters from this host.
    pub fn new(directory: Arc<dyn DirectoryApi>, delivery: Arc<Deliverer>, host: String) -> Arc<Self> {
        Arc::new(Letters { directory, delivery, host })
    }

    async fn config(&self) -> Option<Attributes> {
        match self.directory.read(DirectoryQuery::Cluster, Freshness::Local).await {
            Ok(DirectoryReply::Cluster(cluster)) => Some(cluster.config),
            _ => None,
        }
    }

    async fn send(&self, lesson: Lesson) -> Result<(), String> {
        let config = self.config().await.ok_or("the directory is silent")?;
        let to = address(&config, lesson.class).ok_or("no account collects it any more")?;
        let directory = &self.directory;
        let account = |by| async move {
            let found = directory.read(DirectoryQuery::Account(by), Freshness::Local).await;
            found.and_then(DirectoryReply::into_account)
        };
        let sender = account(AccountBy::Id(lesson.account)).await.map_err(|e| e.to_string())?;
        let collector = account(AccountBy::Address(to.to_string())).await.map_err(|e| format!("{to}: {e}"))?;
        if collector.id == sender.id {
            return Ok(());
        }
        let (unique, unix_ms) = (random_bytes(), wall_ms() as i64);
        let about = Report {
            sender: &sender.name,
            to,
            subject_prefix: config.get("zimbraSpamTrainingSubjectPrefix").unwrap_or("zimbra-spam-report:"),
            host: &self.host,
            unique,
            unix_ms,
        };
        let raw = report(&about, &lesson);
        let id = format!("lesson-{}", sender.id);
        // The empty sender: nobody waits for an answer (`zimbraSpamReportEnvelopeFrom`).
        let arrival = Arrival::new(id, String::new(), raw.into(), unix_ms, Identity::None).await;
        let to = Recipient { account: collector.id, address: to };
        let fate = self.delivery.deliver(&arrival.map_err(|e| e.to_string())?, to).await;
        fate.map(|_| ()).map_err(|e| e.to_string())
    }
}

fn address(config: &Attributes, class: Class) -> Option<&str> {
    config.get(match class {
        Class::Spam => "zimbraSpamIsSpamAccount",
        Class::Ham => "zimbraSpamIsNotSpamAccount",
    })
}

impl Post for Letters {
    fn collects(&self, class: Class) -> BoxFuture<'_, bool> {
        Box::pin(async move { self.config().await.is_some_and(|config| address(&config, class).is_some()) })
    }

    fn post(&self, lesson: Lesson) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.send(lesson))
    }
}
