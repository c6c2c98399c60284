//! The whole cluster in one thread: one seed, one history.
//!
//! [`world`] is the executor, the clocks, the chance and the trace. [`net`], [`disk`] stand where sockets and disks do;
//! [`cluster`] puts production nodes together on them; [`clients`] are the outside; [`plan`] says what a seed does;
//! [`audit`] sees everything while it happens and [`invariants`] says what must hold.

pub mod audit;
pub mod clients;
pub mod cluster;
pub mod coverage;
pub mod disk;
pub mod explain;
pub mod faults;
pub mod history;
pub mod linear;
pub mod net;
pub mod invariants;
pub mod plan;
pub mod pool;
pub mod run;
pub mod wall;
pub mod world;
