//! HTTP, as far as it takes to know whether a server answers: one request, and the answer as it comes.

mod answer;
mod body;
mod request;

pub(super) use answer::Answer;
pub(super) use request::request;
