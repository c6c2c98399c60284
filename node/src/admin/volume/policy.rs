//! Which bodies go to a volume by policy, and emptying a volume.

use super::work::{Work, bad, conflict, told};
use crate::admin::handlers::Refused;
use std::collections::BTreeMap;
use zcluster_api::directory::{Attributes, Cos, Modification, ModifyKind};
use zcluster_api::{DirectoryQuery, DirectoryReply, Freshness};
use zcluster_router::{DRAINED_ATTRIBUTE, HSM_ATTRIBUTE, HsmPolicy};
use zcluster_volume::config::DEFAULT_ATTRIBUTE;
use zcluster_volume::follow::volumes_of;

/// Whether an attribute's value is a policy of a volume.
fn is_of(value: &str, volume: &str) -> bool {
    value.split_once(' ').is_some_and(|(of, _)| of == volume)
}

impl Work<'_> {
    async fn all_cos(&self) -> Result<Vec<Cos>, Refused> {
        match self.admin.directory().read(DirectoryQuery::CosList, Freshness::Recent).await? {
            DirectoryReply::CosList(all) => Ok(all),
            _ => Ok(Vec::new()),
        }
    }

    /// The policies by volume.
    pub(super) async fn policies(&self, config: &Attributes) -> Result<BTreeMap<String, Vec<String>>, Refused> {
        let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut add = |value: &String, cos: Option<&str>| {
            if let Ok(policy) = HsmPolicy::parse(value) {
                let of = cos.map(|name| format!(" (COS {name})")).unwrap_or_default();
                let text = format!("{}:{}{of}", policy.types.join(","), policy.query);
                out.entry(policy.volume).or_default().push(text);
            }
        };
        config.all(HSM_ATTRIBUTE).iter().for_each(|value| add(value, None));
        for cos in self.all_cos().await? {
            cos.attrs.all(HSM_ATTRIBUTE).iter().for_each(|value| add(value, Some(&cos.name)));
        }
        Ok(out)
    }

    /// A volume has one policy for all, and one for each COS.
    pub(super) async fn set_policy(
        &self,
        name: &str,
        policy: Option<&str>,
        cos: Option<&str>,
    ) -> Result<Vec<String>, Refused> {
        let (_, config) = self.config().await?;
        if !volumes_of(&config).iter().any(|v| v.name == name) {
            return Err(bad(format!("there is no volume {name}")));
        }
        let policy = policy.map(|policy| HsmPolicy::of(name, policy)).transpose().map_err(told)?;
        let before = match cos {
            None => config.all(HSM_ATTRIBUTE).to_vec(),
            Some(cos) => {
                let found = self.all_cos().await?.into_iter().find(|c| c.name.eq_ignore_ascii_case(cos));
                found.ok_or_else(|| bad(format!("there is no COS {cos}")))?.attrs.all(HSM_ATTRIBUTE).to_vec()
            }
        };
        let mut values: Vec<String> = before.into_iter().filter(|value| !is_of(value, name)).collect();
        values.extend(policy.as_ref().map(HsmPolicy::text));
        match cos {
            None => {
                self.modify(vec![Modification { name: HSM_ATTRIBUTE.into(), kind: ModifyKind::Replace, values }])
                    .await?
            }
            Some(cos) => {
                let mut args = vec!["modifyCos".to_string(), cos.to_string()];
                if values.is_empty() {
                    values.push(String::new());
                }
                args.extend(values.into_iter().flat_map(|value| [HSM_ATTRIBUTE.to_string(), value]));
                self.admin.prov(self.actor).run(&args).await?;
            }
        }
        let whom = cos.map_or_else(|| "all".to_string(), |cos| format!("COS {cos}"));
        Ok(vec![match policy {
            Some(policy) => {
                format!("volume {name} has a policy for {whom}: {}:{}", policy.types.join(","), policy.query)
            }
            None => format!("volume {name} has no policy for {whom} any more"),
        }])
    }

    /// Has a volume emptied, or says how far that is.
    pub(super) async fn drain(&self, name: &str, stop: bool) -> Result<(Vec<String>, Option<u64>), Refused> {
        let (_, config) = self.config().await?;
        if !volumes_of(&config).iter().any(|v| v.name == name) {
            return Err(bad(format!("there is no volume {name}")));
        }
        let is_drained = config.all(DRAINED_ATTRIBUTE).iter().any(|drained| drained == name);
        let change = |kind| vec![Modification { name: DRAINED_ATTRIBUTE.into(), kind, values: vec![name.to_string()] }];
        if stop {
            if is_drained {
                self.modify(change(ModifyKind::Remove)).await?;
            }
            return Ok((
                vec![format!("volume {name} is not emptied any more; what was moved stays where it is")],
                None,
            ));
        }
        if config.get(DEFAULT_ATTRIBUTE) == Some(name) {
            return Err(conflict(format!(
                "bodies go to {name}: choose another with `zcluster volume default`, or --none, and they go there"
            )));
        }
        if let Some(policy) = self.policies(&config).await?.remove(name).and_then(|all| all.into_iter().next()) {
            return Err(conflict(format!("bodies go to {name} by a policy ({policy}): remove that first")));
        }
        if !is_drained {
            self.modify(change(ModifyKind::Add)).await?;
        }
        let left = self.admin.volumes.usage.bodies(name).await.map_err(told)?;
        let to = config.get(DEFAULT_ATTRIBUTE).map_or_else(|| "the shards".to_string(), |to| format!("volume {to}"));
        let note = match left {
            0 => format!("volume {name} is empty"),
            _ => format!(
                "volume {name} is being emptied into {to}: {left} bodies, and objects to be deleted, are left there"
            ),
        };
        Ok((vec![note], Some(left)))
    }
}
