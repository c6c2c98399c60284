//! The databases, and what happens when they have lost data: as the real node's assembly does it.

use super::Cluster;
use super::machine::Machine;
use super::peers::Known;
use super::process::End;
use crate::disk::{NodeFile, OpenError, Opened};
use crate::world;
use std::sync::Arc;
use zcluster_api::NodeId;
use zcluster_raft::{Fatal, LogEngine};
use zcluster_replica::Replicas;
use zcluster_router::admission;

/// The node's databases.
pub(super) struct Storage {
    /// Who the node is by now.
    pub file: NodeFile,
    /// The log of all groups.
    pub log: Arc<dyn LogEngine>,
    /// The state of all groups.
    pub replicas: Arc<Replicas>,
    /// Where failures are reported.
    pub fatal: Fatal,
}

/// Opens the databases. A log that has lost synced data, or is damaged, is thrown away: the node takes a new
/// incarnation, makes itself known under it, and gets everything from the others.
pub(super) async fn open(cluster: &Cluster, machine: &Machine) -> Result<Storage, End> {
    let fatal = Fatal::new();
    let Some(mut file) = machine.disk.node_file() else {
        return Err(End::failed("there is no node.json"));
    };
    let opened = match checked(machine, &mut file, &fatal)? {
        Ok(opened) => opened,
        Err(lost) => {
            start_anew(cluster, machine, &mut file, &lost).await?;
            checked(machine, &mut file, &fatal)?.map_err(End::failed)?
        }
    };
    let replicas = Replicas::with_engine(opened.engine, fatal.clone()).map_err(End::failed)?;
    replicas.doubt_indexes();
    let texts = Arc::new(machine.texts.clone());
    replicas.set_texts(texts, None).map_err(End::failed)?;
    Ok(Storage { file, log: opened.log, replicas, fatal })
}

/// The databases, or what they have lost.
fn checked(machine: &Machine, file: &mut NodeFile, fatal: &Fatal) -> Result<Result<Opened, String>, End> {
    // Looked at before anything is created, as the real node looks for its fence and its databases.
    if file.started && machine.is_emptied() {
        return Ok(Err("the fence file is gone".into()));
    }
    let opened = match machine.disk.open(fatal.clone()) {
        Ok(opened) => opened,
        // The operator takes the damaged database away; from there it is a lost disk.
        Err(OpenError::Damaged(what)) => return Ok(Err(what)),
        Err(OpenError::Full) => return Err(End::excused("no space left on the disk")),
    };
    if let Ok(incarnation) = u16::try_from(opened.fence_incarnation) {
        file.incarnation = file.incarnation.max(incarnation);
    }
    match opened.lost {
        Some(lost) => Ok(Err(lost)),
        None => Ok(Ok(opened)),
    }
}

/// A voter without the entries it has acknowledged could undo them: its old id never votes again.
async fn start_anew(cluster: &Cluster, machine: &Machine, file: &mut NodeFile, lost: &str) -> Result<(), End> {
    world::count("node.lost_data");
    world::note(machine.number, "node", || format!("the disk has lost data: {lost}"));
    if !machine.disk.is_excused() && !machine.is_emptied() {
        world::violate("what_is_synced_stays", format!("node {}: {lost}", machine.number));
    }
    let peers = admission::others(&file.peers, file.number);
    if peers.is_empty() {
        return Err(End::excused(format!("lost data ({lost}), and no other node is known to get it from")));
    }
    let old = NodeId::new(file.number, file.incarnation);
    let Some(incarnation) = file.incarnation.checked_add(1) else {
        return Err(End::failed("incarnations are used up"));
    };
    let renewed = NodeFile { incarnation, ..file.clone() };
    let id = NodeId::new(file.number, incarnation);
    let network = Known::new(cluster.wires().network(id.0), &renewed);
    // Nobody answers in time, or a peer refuses: it is tried again when the process is started again.
    admission::rejoin(network.as_ref(), &peers, old.0).await.map_err(End::excused)?;
    machine.disk.renew(incarnation);
    machine.set_renewed();
    *file = renewed;
    machine.disk.write_node_file(file.clone());
    world::event("node.anew", &[id.0]);
    world::count("node.anew");
    world::note(machine.number, "node", || format!("starts anew as incarnation {incarnation}"));
    Ok(())
}
