//! What is done when the core asks for it. The executor does; it never decides.

pub mod ask;
pub mod inspect;
pub mod pidfds;
pub mod replace;
pub mod survey;
pub mod watch;
