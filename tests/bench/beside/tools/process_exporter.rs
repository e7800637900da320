//! process-exporter, scraped every second: it looks when it is asked. It restarts nobody; what it knows is told by a scrape.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::mpsc::Sender,
    thread,
    time::{Duration, Instant},
};

use watcher::sys::clock;

use super::{Ready, Running, Stage, Told};
use crate::{
    ground::{Worker, name, named_in},
    kept::Kept,
    news::News,
};

/// Nobody else is likely to listen there.
const ADDRESS: &str = "127.0.0.1:19256";

const EVERY: Duration = Duration::from_secs(1);

pub(super) fn start(stage: &Stage<'_>) -> Result<Running, String> {
    let ground = stage.ground;
    let mut text = "process_names:\n  - name: \"{{.Comm}}\"\n    comm:\n".to_owned();
    for worker in ground.workers() {
        let _written = writeln!(text, "    - {}", name(worker));
    }
    let file = stage.file("process-exporter.yml", &text)?;
    let mut command = stage.peer("usr/bin/prometheus-process-exporter")?;
    command.args(["-web.listen-address", ADDRESS, "-threads=false", "-children=false", "-config.path"]).arg(file);
    let kept = Kept::start(&mut command, stage.news)?;
    let (size, news) = (ground.size, stage.news.clone());
    thread::spawn(move || scrape(size, &news));
    Ok(Running { kept, ready: Ready::Said("scraped".to_owned(), 1) })
}

pub(super) fn told(line: &str) -> Option<Told> {
    line.strip_prefix("gone ").and_then(named_in).map(Told::Death)
}

/// Says once that all are seen, and then of each worker that he is not, for the first time.
fn scrape(size: usize, news: &Sender<News>) {
    let mut seen = BTreeSet::new();
    let mut all_were_seen = false;
    loop {
        let begun = Instant::now();
        if let Ok(body) = ask() {
            let now = clock::now();
            let living = living(&body);
            if !all_were_seen && living.len() == size {
                all_were_seen = true;
                let _ = news.send(News::Said(now, "scraped".to_owned()));
            }
            for gone in seen.difference(&living) {
                let _ = news.send(News::Said(now, format!("gone {}", name(*gone))));
            }
            seen = living;
        }
        thread::sleep(EVERY.saturating_sub(begun.elapsed()));
    }
}

fn ask() -> std::io::Result<String> {
    let mut stream = TcpStream::connect(ADDRESS)?;
    write!(stream, "GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut body = String::new();
    stream.read_to_string(&mut body)?;
    Ok(body)
}

fn living(body: &str) -> BTreeSet<Worker> {
    let lines = body.lines().filter_map(|line| line.strip_prefix("namedprocess_namegroup_num_procs{"));
    lines.filter(|line| !line.ends_with(" 0")).filter_map(named_in).collect()
}

#[cfg(test)]
mod tests {
    use super::living;

    #[test]
    fn a_group_without_processes_is_not_alive() {
        let body = "# HELP namedprocess_namegroup_num_procs number of processes\n\
                    namedprocess_namegroup_num_procs{groupname=\"w00001\"} 1\n\
                    namedprocess_namegroup_num_procs{groupname=\"w00002\"} 0\n\
                    namedprocess_namegroup_num_threads{groupname=\"w00003\"} 1\n";
        assert_eq!(living(body).into_iter().collect::<Vec<_>>(), [1]);
    }
}
