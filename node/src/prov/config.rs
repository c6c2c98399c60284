//! Commands about the cluster-wide settings.

use super::entry::{Entry, Reply};
use super::{Arguments, Failure, Outcome, Prov, modifications, unexpected};
use zcluster_api::directory::Attributes;
use zcluster_api::{DirectoryCommand, DirectoryQuery, DirectoryReply};

async fn attributes(prov: &Prov) -> Result<Attributes, Failure> {
    match prov.read(DirectoryQuery::Cluster).await? {
        DirectoryReply::Cluster(cluster) => Ok(cluster.config),
        other => Err(unexpected(&other)),
    }
}

/// `getConfig`.
pub async fn get(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    Ok(Reply::entry(Entry::new("", &attributes(prov).await?, None, &call.args)))
}

/// `getAllConfig`.
pub async fn get_all(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    Ok(Reply::entry(Entry::new("", &attributes(prov).await?, None, &call.args)))
}

/// `modifyConfig`.
pub async fn modify(prov: &Prov, call: &Arguments<'_>) -> Outcome {
    prov.write(DirectoryCommand::ModifyConfig(modifications(&call.args)?), |_| None).await?;
    Ok(Reply::default())
}
