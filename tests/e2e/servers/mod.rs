//! Real services, watched by a pcheck that brings them back: the stories of the manuals with what Debian ships.

mod httpd;
mod kept;
mod nginx;
mod probed;
mod site;
mod stalled;
mod thousand;
mod tomcat;
