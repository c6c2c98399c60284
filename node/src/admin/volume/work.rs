//! What the call does.

use super::{NodeMeasured, NodeSees, VolumeAction, VolumeReply, VolumeShown};
use crate::admin::Admin;
use crate::admin::auth::Allowed;
use crate::admin::handlers::Refused;
use crate::join::request_id;
use crate::volumes::{Asking, Question, measure};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures::future::join_all;
use std::sync::Arc;
use zcluster_api::directory::{Attributes, Modification, ModifyKind, NodeState, Secret};
use zcluster_api::{Actor, DirectoryCommand, DirectoryQuery, DirectoryReply, Error, Freshness, NodeId};
use zcluster_router::DRAINED_ATTRIBUTE;
use zcluster_volume::config::{ATTRIBUTE, DEFAULT_ATTRIBUTE, SECRET_PREFIX};
use zcluster_volume::follow::{credentials, refresh, volumes_of};
use zcluster_volume::trial::{Measured, Trial};
use zcluster_volume::{Credentials, State as Seen, Stores, VolumeConfig, words};

/// Volumes of a cluster.
const VOLUMES_MAX: usize = 64;

pub(super) fn bad(text: impl AsRef<str>) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "service.INVALID_REQUEST", text.as_ref())
}

pub(super) fn conflict(text: impl AsRef<str>) -> Refused {
    Refused::new(StatusCode::CONFLICT, "service.CONFLICT", text.as_ref())
}

/// What stands in the way of a volume is said as it is; it is not a failure of this service.
pub(super) fn told(error: Error) -> Refused {
    match error {
        Error::Invalid(text) => bad(text),
        Error::Conflict(text) => conflict(text),
        Error::Unavailable(text) => {
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, "service.TEMPORARILY_UNAVAILABLE", &text)
        }
        other => other.into(),
    }
}

/// `POST /v1/volume`.
pub async fn volume(
    Allowed(actor): Allowed,
    State(admin): State<Arc<Admin>>,
    Json(action): Json<VolumeAction>,
) -> Result<Json<VolumeReply>, Refused> {
    let work = Work { actor, admin: &admin };
    let mut left = None;
    let notes = match action {
        VolumeAction::List => Vec::new(),
        VolumeAction::Add { volume, credentials, default, force } => {
            work.add(&volume, credentials, default, force).await?
        }
        VolumeAction::Credentials { name, credentials, force } => {
            work.set_credentials(&name, credentials, force).await?
        }
        VolumeAction::Default { name } => work.set_default(name.as_deref()).await?,
        VolumeAction::Remove { name, force } => work.remove(&name, force).await?,
        VolumeAction::Policy { name, policy, cos } => work.set_policy(&name, policy.as_deref(), cos.as_deref()).await?,
        VolumeAction::Drain { name, stop } => {
            let (notes, still) = work.drain(&name, stop).await?;
            left = still;
            notes
        }
        VolumeAction::Test { name, small, large } => {
            let nodes = work.test(&name, small, large).await?;
            return Ok(Json(VolumeReply { nodes, ..VolumeReply::default() }));
        }
    };
    let mut reply = work.list().await?;
    reply.notes.splice(0..0, notes);
    reply.left = left;
    Ok(Json(reply))
}

pub(super) struct Work<'a> {
    pub actor: Actor,
    pub admin: &'a Admin,
}

impl Work<'_> {
    pub(super) fn stores(&self) -> &Stores {
        &self.admin.volumes.stores
    }

    /// The cluster's id and global config.
    pub(super) async fn config(&self) -> Result<(String, Attributes), Refused> {
        match self.admin.directory().read(DirectoryQuery::Cluster, Freshness::Recent).await? {
            DirectoryReply::Cluster(cluster) => Ok((cluster.id, cluster.config)),
            other => Err(Error::Internal(format!("unexpected reply {other:?}")).into()),
        }
    }

    /// Nodes that take part, but this one.
    async fn others(&self) -> Result<Vec<NodeId>, Refused> {
        match self.admin.directory().read(DirectoryQuery::Nodes, Freshness::Recent).await? {
            DirectoryReply::Nodes(nodes) => {
                let taking_part = nodes.iter().filter(|n| n.state != NodeState::Removed && n.id != self.admin.node);
                Ok(taking_part.map(|n| n.id).collect())
            }
            other => Err(Error::Internal(format!("unexpected reply {other:?}")).into()),
        }
    }

    pub(super) async fn modify(&self, changes: Vec<Modification>) -> Result<(), Refused> {
        self.admin.directory().write(self.actor, request_id(), DirectoryCommand::ModifyConfig(changes)).await?;
        Ok(())
    }

    async fn put_secret(&self, volume: &str, value: Option<Vec<u8>>) -> Result<(), Refused> {
        let name = format!("{SECRET_PREFIX}{volume}");
        let command = DirectoryCommand::PutSecret { name, value: value.map(Secret), expect: None };
        self.admin.directory().write(Actor::System, request_id(), command).await?;
        Ok(())
    }

    /// This node opens what there is now at once, so that its answer is of it; the others do within a second.
    async fn refresh(&self) -> Result<(), Refused> {
        refresh(self.stores(), self.admin.directory().as_ref()).await.map_err(told)
    }

    async fn list(&self) -> Result<VolumeReply, Refused> {
        self.refresh().await?;
        let (_, config) = self.config().await?;
        let others = self.others().await?;
        let asking = &self.admin.volumes.asking;
        let here = async { (self.admin.node.number(), Ok(self.stores().check().await)) };
        let there = join_all(others.iter().map(|id| async move { (id.number(), asking.look_at(id.0).await) }));
        let (here, mut nodes) = futures::join!(here, there);
        nodes.push(here);
        nodes.sort_by_key(|(node, _)| *node);
        let default = config.get(DEFAULT_ATTRIBUTE);
        let mut reply = VolumeReply::default();
        let mut policies = self.policies(&config).await?;
        for volume in volumes_of(&config) {
            let own = credentials(self.admin.directory().as_ref(), &volume.name, Freshness::Local).await?;
            reply.volumes.push(VolumeShown {
                nodes: nodes.iter().map(|(node, states)| sees(*node, states, &volume.name)).collect(),
                credentials: own.0.into_keys().collect(),
                default: default == Some(volume.name.as_str()),
                drained: config.all(DRAINED_ATTRIBUTE).contains(&volume.name),
                policies: policies.remove(&volume.name).unwrap_or_default(),
                name: volume.name,
                url: volume.url,
                options: volume.options,
            });
        }
        for text in config.all(ATTRIBUTE) {
            if let Err(error) = VolumeConfig::parse(text) {
                reply.notes.push(format!("{ATTRIBUTE} has a value that is no volume ({error}): {text}"));
            }
        }
        if let Some(name) = default.filter(|name| !reply.volumes.iter().any(|v| v.name == *name)) {
            reply.notes.push(format!("{DEFAULT_ATTRIBUTE} is {name}, which is no volume: bodies stay in their shards"));
        }
        Ok(reply)
    }

    async fn add(
        &self,
        text: &str,
        credentials: Credentials,
        default: bool,
        force: bool,
    ) -> Result<Vec<String>, Refused> {
        let volume = VolumeConfig::parse(text).map_err(told)?;
        credentials.check(&volume).map_err(told)?;
        let (cluster, config) = self.config().await?;
        let known = volumes_of(&config);
        if known.iter().any(|v| v.name == volume.name) {
            return Err(conflict(format!("there is a volume {} already", volume.name)));
        }
        if let Some(same) = known.iter().find(|v| v.url == volume.url && v.options == volume.options) {
            return Err(conflict(format!("{} is the volume {} already", volume.url, same.name)));
        }
        if known.len() >= VOLUMES_MAX {
            return Err(conflict(format!("a cluster has at most {VOLUMES_MAX} volumes")));
        }
        let trial = Trial::open(volume.clone(), credentials.clone(), &cluster).map_err(told)?;
        match trial.mark().await.map_err(told)? {
            Some(mark) if mark.cluster == cluster && mark.name == volume.name => {}
            Some(mark) => return Err(conflict(trial.foreign(Some(&mark)))),
            None if force || trial.is_empty().await.map_err(told)? => {}
            None => {
                let text =
                    format!("something lies at {} already: choose another prefix or folder, or --force", volume.url);
                return Err(conflict(text));
            }
        }
        let mut notes = self.try_everywhere(&cluster, &volume, &credentials, &trial).await?;
        if !trial.refuses_to_overwrite().await.map_err(told)? {
            notes.push("the store overwrites objects although it is asked not to (-o conditional_put=false)".into());
        }
        if !notes.is_empty() && !force {
            let hint = match volume.is_folder() {
                true => "a folder must be shared by all nodes (NFS, CephFS, ...) and mounted at the same path",
                false => "every node must reach the store with these settings",
            };
            return Err(conflict(format!("not added: {}; {hint}, or add it with --force", notes.join("; "))));
        }
        trial.claim().await.map_err(told)?;
        if !credentials.is_empty() {
            self.put_secret(&volume.name, Some(credentials.bytes())).await?;
        }
        let mut changes =
            vec![Modification { name: ATTRIBUTE.into(), kind: ModifyKind::Add, values: vec![volume.text()] }];
        if default {
            changes.push(Modification::set(DEFAULT_ATTRIBUTE, &volume.name));
        }
        self.modify(changes).await?;
        self.refresh().await?;
        notes.insert(0, format!("volume {} added", volume.name));
        Ok(notes)
    }

    async fn set_credentials(&self, name: &str, credentials: Credentials, force: bool) -> Result<Vec<String>, Refused> {
        let (cluster, config) = self.config().await?;
        let Some(volume) = volumes_of(&config).into_iter().find(|v| v.name == name) else {
            return Err(bad(format!("there is no volume {name}")));
        };
        credentials.check(&volume).map_err(told)?;
        let trial = Trial::open(volume.clone(), credentials.clone(), &cluster).map_err(told)?;
        match trial.mark().await.map_err(told)? {
            Some(mark) if mark.cluster == cluster && mark.name == name => {}
            other => return Err(conflict(trial.foreign(other.as_ref()))),
        }
        let mut notes = self.try_everywhere(&cluster, &volume, &credentials, &trial).await?;
        if !notes.is_empty() && !force {
            return Err(conflict(format!("not replaced: {}; --force replaces them nevertheless", notes.join("; "))));
        }
        let own = (!credentials.is_empty()).then(|| credentials.bytes());
        self.put_secret(name, own).await?;
        self.refresh().await?;
        notes.insert(0, format!("volume {name} has new credentials"));
        Ok(notes)
    }

    /// Leaves something there, has every other node look for it and leave something too, and looks for that. Which nodes
    /// do not see what this one sees.
    async fn try_everywhere(
        &self,
        cluster: &str,
        volume: &VolumeConfig,
        credentials: &Credentials,
        trial: &Trial,
    ) -> Result<Vec<String>, Refused> {
        let content = format!("zcluster: left by node {}\n", self.admin.node.number());
        let name = trial.leave(&content).await.map_err(told)?;
        let others = self.others().await?;
        let question = Question::Try {
            cluster: cluster.to_string(),
            volume: volume.text(),
            credentials: credentials.clone(),
            name: name.clone(),
            content,
        };
        let question = &question;
        let tries = others.iter().map(|id| async move {
            let left = self.admin.volumes.asking.try_at(id.0, question).await;
            let confirmed = match left {
                Ok(left) => Asking::confirm(trial, id.0, &left).await,
                Err(why) => Err(why),
            };
            confirmed.err().map(|why| format!("node {}: {why}", id.number()))
        });
        let problems = join_all(tries).await.into_iter().flatten().collect();
        trial.clear(&name).await.map_err(told)?;
        Ok(problems)
    }

    async fn set_default(&self, name: Option<&str>) -> Result<Vec<String>, Refused> {
        let (_, config) = self.config().await?;
        if let Some(name) = name
            && !volumes_of(&config).iter().any(|v| v.name == name)
        {
            return Err(bad(format!("there is no volume {name}")));
        }
        self.modify(vec![Modification::set(DEFAULT_ATTRIBUTE, name.unwrap_or_default())]).await?;
        Ok(Vec::new())
    }

    async fn remove(&self, name: &str, force: bool) -> Result<Vec<String>, Refused> {
        let (cluster, config) = self.config().await?;
        let is_it = |text: &&String| VolumeConfig::parse(text).is_ok_and(|v| v.name == name);
        let Some(text) = config.all(ATTRIBUTE).iter().find(is_it) else {
            return Err(bad(format!("there is no volume {name}")));
        };
        if config.get(DEFAULT_ATTRIBUTE) == Some(name) {
            return Err(conflict(format!("bodies go to {name}: choose another with `zcluster volume default`")));
        }
        if let Some(policy) = self.policies(&config).await?.remove(name).and_then(|all| all.into_iter().next()) {
            return Err(conflict(format!("bodies go to {name} by a policy ({policy}): remove that first")));
        }
        let bodies = self.admin.volumes.usage.bodies(name).await.map_err(told)?;
        if bodies > 0 {
            return Err(conflict(format!(
                "{bodies} bodies lie on {name}: a volume is removed when none does (`zcluster volume drain {name}`)"
            )));
        }
        let volume = VolumeConfig::parse(text).map_err(told)?;
        let own = credentials(self.admin.directory().as_ref(), name, Freshness::Linearizable).await?;
        let mut notes = vec![format!("volume {name} removed")];
        let trial = Trial::open(volume, own, &cluster);
        let looked = match &trial {
            Ok(trial) => trial.is_empty().await,
            Err(error) => Err(error.clone()),
        };
        match looked {
            Ok(true) => {}
            // No shard refers to anything there.
            Ok(false) if force => notes.push("objects that nothing refers to are left there".into()),
            Ok(false) => return Err(conflict(format!("objects lie on {name}: a volume is removed when it is empty"))),
            Err(error) if force => notes.push(format!("it could not be looked at: {}", words(&error))),
            Err(error) => {
                return Err(conflict(format!(
                    "cannot see whether something lies on {name} ({}); --force removes it",
                    words(&error)
                )));
            }
        }
        let gone = |name: &str, value: &str| Modification {
            name: name.into(),
            kind: ModifyKind::Remove,
            values: vec![value.to_string()],
        };
        let mut changes = vec![gone(ATTRIBUTE, text)];
        if config.all(DRAINED_ATTRIBUTE).iter().any(|drained| drained == name) {
            changes.push(gone(DRAINED_ATTRIBUTE, name));
        }
        self.modify(changes).await?;
        if let Ok(trial) = &trial
            && let Err(error) = trial.release().await
        {
            notes.push(format!("its mark is left there: {}", words(&error)));
        }
        self.put_secret(name, None).await?;
        self.refresh().await?;
        Ok(notes)
    }

    async fn test(&self, name: &str, small: usize, large: usize) -> Result<Vec<NodeMeasured>, Refused> {
        self.refresh().await?;
        if !self.stores().states().iter().any(|s| s.name == name) {
            return Err(bad(format!("there is no volume {name}")));
        }
        let here = measure(self.stores(), name, small, large).await.map_err(|e| words(&e));
        let mut nodes = vec![measured(self.admin.node.number(), here)];
        // One after the other: they would slow each other down.
        for id in self.others().await? {
            let there = self.admin.volumes.asking.measure_at(id.0, name, small, large).await;
            nodes.push(measured(id.number(), there));
        }
        nodes.sort_by_key(|n| n.node);
        Ok(nodes)
    }
}

fn measured(node: u32, outcome: Result<Measured, String>) -> NodeMeasured {
    match outcome {
        Ok(measured) => NodeMeasured { node, measured: Some(measured), error: None },
        Err(error) => NodeMeasured { node, measured: None, error: Some(error) },
    }
}

fn sees(node: u32, states: &Result<Vec<Seen>, String>, volume: &str) -> NodeSees {
    let trouble = match states {
        Ok(states) => match states.iter().find(|s| s.name == volume) {
            Some(state) => state.trouble.clone(),
            None => Some("the node does not know the volume yet".into()),
        },
        Err(why) => Some(why.clone()),
    };
    NodeSees { node, trouble }
}
