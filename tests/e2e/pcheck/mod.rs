//! `pcheck` and `padmin` as operators and cluster managers use them: real services, real scripts, every tier.

mod crashes;
mod explains;
mod gives_up;
mod groups;
mod idle;
mod names;
mod orders;
mod passed_over;
mod places;
mod privileges;
mod restarts;
mod scripts;
mod signals;
mod sockets;
mod stalls;
mod stopped;
mod syslog;
mod systemd;
