//! The whole cluster in one thread: one seed, one history.
//!
//! [`world`] is the executor, the clocks, the chance and the trace. [`net`], [`disk`] stand where sockets and disks do;
//! [`cluster`] puts production nodes together on them; [`clients`] are the outside; [`plan`] says what a seed does;
//! [`audit`] sees everything while it happens and [`invariants`] says what must hold.

pub mod audit;
pub mod bench;
pub mod clients;
pub mod cluster;
pub mod coverage;
pub mod determinism;
pub mod disk;
pub mod explain;
pub mod faults;
pub mod history;
pub mod invariants;
pub mod linear;
pub mod log;
pub mod net;
pub mod plan;
pub mod planted;
pub mod pool;
pub mod run;
pub mod shrink;
pub mod sweep;
pub mod wall;
pub mod warehouse;
pub mod world;
