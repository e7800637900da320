//! What will hurt although it loads. Every judgement is a function of the text and of facts that were gathered elsewhere.

mod across;
mod asked;
mod ca;
mod host;
mod names;
mod text;

pub use across::{NamedPfile, across};
pub use ca::{ca, ca_files};
pub use host::{Host, PathFacts, host};
pub use names::{Nameless, hosts, names};
pub use text::text;
