//! What `zcluster volume add` and `test` do: does every node reach the same volume, and how fast is it?

use crate::config::{Credentials, VolumeConfig};
use crate::limits::Limits;
use crate::mark::Mark;
use crate::store::Store;
use crate::stores::Stores;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use zcluster_api::volume::check_object_name;
use zcluster_api::{Error, Result};
use zcluster_runtime::{Instant, fill_random, random_bytes};

/// Where trials write; hidden from lists.
const PLACE: &str = ".trial";
/// Bytes of a small object: a packed body, say.
pub const SMALL: usize = 16 * 1024;
/// Bytes of a large object.
pub const LARGE: usize = 8 * 1024 * 1024;
/// Objects of each size that are written at most.
pub const COUNT_MAX: usize = 1_000;

/// A volume that is tried before it is the cluster's.
pub struct Trial(Arc<Store>);

impl Trial {
    /// Opens it. Trials give up soon: a volume that is to be added is expected to work.
    ///
    /// # Errors
    /// `Invalid`: its settings do not go together.
    pub fn open(config: VolumeConfig, credentials: Credentials, cluster: &str) -> Result<Trial> {
        let limits = Limits { attempts: 2, total: Duration::from_secs(12), ..Limits::default() };
        Ok(Trial(Store::open(config, credentials, cluster, limits)?))
    }

    /// One that is the cluster's already.
    ///
    /// # Errors
    /// `Unavailable`: this node does not know it, or cannot open it.
    pub fn of(stores: &Stores, volume: &str) -> Result<Trial> {
        let known = stores.store(volume)?;
        let limits = stores.limits();
        Ok(Trial(Store::open(known.config.clone(), known.credentials.clone(), &stores.cluster(), limits)?))
    }

    /// Whose it is.
    ///
    /// # Errors
    /// `Unavailable`: it does not answer, or its mark is not readable.
    pub async fn mark(&self) -> Result<Option<Mark>> {
        self.0.mark().await
    }

    /// How it is not ours.
    pub fn foreign(&self, mark: Option<&Mark>) -> Error {
        self.0.foreign(mark)
    }

    /// Makes it ours.
    ///
    /// # Errors
    /// `Conflict`: it is somebody's.
    pub async fn claim(&self) -> Result<()> {
        self.0.claim().await
    }

    /// Gives it up, whoever takes it then.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn release(&self) -> Result<()> {
        self.0.release().await
    }

    /// Whether anything lies there, whoever refers to it.
    ///
    /// # Errors
    /// `Unavailable`: it cannot be asked.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.0.list("", "", 1).await?.is_empty())
    }

    /// Writes something that other nodes can look for: its name.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn leave(&self, content: &str) -> Result<String> {
        let name = hex(&random_bytes::<16>());
        self.0.put_unchecked(&format!("{PLACE}/{name}"), content.to_string().into()).await?;
        Ok(name)
    }

    /// Whether what another node left is seen here.
    ///
    /// # Errors
    /// `Unavailable`; `NotFound`: this is another place.
    pub async fn find(&self, name: &str, content: &str) -> Result<()> {
        check_object_name(name)?;
        let found = self.0.get(&format!("{PLACE}/{name}"), 0..4096).await;
        match found {
            Ok(piece) if piece.bytes == content.as_bytes() => Ok(()),
            Ok(_) => Err(Error::NotFound(format!("{name} with this content"))),
            Err(Error::Unavailable(why)) if why.contains(crate::mark::NAME) => Err(Error::NotFound(name.into())),
            Err(e) => Err(e),
        }
    }

    /// Removes it.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn clear(&self, name: &str) -> Result<()> {
        check_object_name(name)?;
        self.0.delete_unchecked(&format!("{PLACE}/{name}")).await
    }

    /// Whether names are claimed: whether a second object of the same name is refused.
    async fn refuses_to_overwrite(&self) -> Result<bool> {
        let name = format!("{PLACE}/{}", hex(&random_bytes::<16>()));
        self.0.put_unchecked(&name, Bytes::from_static(b"first")).await?;
        let second = self.0.put_unchecked(&name, Bytes::from_static(b"second")).await;
        self.0.delete_unchecked(&name).await?;
        match second {
            Ok(()) => Ok(false),
            Err(Error::Exists(_)) => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// Writes, reads, lists and removes objects of two sizes, one after the other.
    ///
    /// # Errors
    /// `Unavailable`: the first call that failed; `Internal`: what was read is not what was written.
    pub async fn measure(&self, small: usize, large: usize) -> Result<Measured> {
        let mut rows = Vec::new();
        for (size, count) in [(SMALL, small.min(COUNT_MAX)), (LARGE, large.min(COUNT_MAX))] {
            if count > 0 {
                rows.extend(self.measure_size(size, count).await?);
            }
        }
        let refuses_to_overwrite = self.refuses_to_overwrite().await?;
        Ok(Measured { rows, durability: self.0.durability().to_string(), refuses_to_overwrite })
    }

    async fn measure_size(&self, size: usize, count: usize) -> Result<Vec<Row>> {
        let place = format!("{PLACE}/{}", hex(&random_bytes::<8>()));
        let names: Vec<String> = (0..count).map(|n| format!("{place}/{n}")).collect();
        let outcome = self.measure_objects(&place, size, &names).await;
        if outcome.is_err() {
            for name in &names {
                let _ = self.0.delete_unchecked(name).await;
            }
        }
        outcome
    }

    async fn measure_objects(&self, place: &str, size: usize, names: &[String]) -> Result<Vec<Row>> {
        // Not compressible: some stores compress, and would look fast.
        let mut content = vec![0; size];
        fill_random(&mut content);
        let content = Bytes::from(content);
        let (mut put, mut get, mut list, mut delete) = (vec![], vec![], vec![], vec![]);
        for name in names {
            let begun = Instant::now();
            self.0.put_unchecked(name, content.clone()).await?;
            put.push(begun.elapsed());
        }
        for name in names {
            let begun = Instant::now();
            let piece = self.0.get(name, 0..size as u64).await?;
            get.push(begun.elapsed());
            if piece.bytes != content {
                return Err(Error::Internal(format!("{name}: what was read is not what was written")));
            }
        }
        for _ in names.iter().take(20) {
            let begun = Instant::now();
            self.0.list_unchecked(&format!("{place}/"), "", 1000).await?;
            list.push(begun.elapsed());
        }
        for name in names {
            let begun = Instant::now();
            self.0.delete_unchecked(name).await?;
            delete.push(begun.elapsed());
        }
        let row = |operation: &str, size: usize, times| Row::of(operation, size, times);
        Ok(vec![row("PUT", size, put), row("GET", size, get), row("LIST", 0, list), row("DELETE", 0, delete)])
    }
}

/// What [`Trial::measure`] found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// By operation and size.
    pub rows: Vec<Row>,
    /// How it makes durable what is written.
    pub durability: String,
    /// Whether an object of the same name is refused.
    pub refuses_to_overwrite: bool,
}

/// One operation on objects of one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `PUT`, `GET`, `LIST`, `DELETE`.
    pub operation: String,
    /// Bytes of an object; 0: no bytes are carried.
    pub size: usize,
    /// How many.
    pub count: usize,
    /// Median, microseconds.
    pub p50_us: u64,
    /// 99 of 100 were not slower, microseconds.
    pub p99_us: u64,
    /// Megabytes (10^6) in a second; 0: no bytes are carried.
    pub mb_per_s: f64,
}

impl Row {
    fn of(operation: &str, size: usize, mut times: Vec<Duration>) -> Row {
        times.sort();
        let count = times.len();
        let at = |percent: usize| {
            let rank = (count * percent).div_ceil(100).max(1) - 1;
            times.get(rank).map_or(0, |t| u64::try_from(t.as_micros()).unwrap_or(u64::MAX))
        };
        let seconds: f64 = times.iter().map(Duration::as_secs_f64).sum();
        let mb_per_s = if seconds > 0.0 { (size * count) as f64 / seconds / 1e6 } else { 0.0 };
        Row { operation: operation.into(), size, count, p50_us: at(50), p99_us: at(99), mb_per_s }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_rates() {
        let row = Row::of("PUT", 1_000_000, (1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!((row.count, row.p50_us, row.p99_us), (200, 100_000, 198_000));
        assert!((row.mb_per_s - 200.0 / 20.1).abs() < 1e-9);
        let row = Row::of("LIST", 0, vec![Duration::from_micros(7)]);
        assert_eq!((row.p50_us, row.p99_us, row.mb_per_s), (7, 7, 0.0));
        assert_eq!(Row::of("LIST", 0, vec![]).p99_us, 0);
    }
}
