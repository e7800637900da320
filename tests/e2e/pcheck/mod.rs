//! `pcheck` and `padmin` as operators and cluster managers use them: real services, real scripts, every tier.

mod gives_up;
mod restarts;
