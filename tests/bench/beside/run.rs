//! One cell, from the first worker to the result.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use watcher_tests::bpf_time::Programs;

use crate::{
    arguments::{Arguments, Windows},
    ground::Ground,
    herd,
    kept::Kept,
    kills::Kills,
    meters,
    news::{self, News},
    noise::Noise,
    tools::{Ready, Stage},
};

/// So long may it take until a tool is ready.
const LIMIT: Duration = Duration::from_secs(120);

/// Measures it; or says why it cannot be.
pub(crate) fn cell(arguments: &Arguments) -> Result<Value, String> {
    let Arguments { tool, size, peers, folder, out: _, windows } = arguments;
    phase("starts");
    let ground = Ground::lay_out(folder, *size);
    let (send, news) = channel();
    news::read_stamps(&ground.at("stamps"), send.clone());
    let _herd = if tool.own_children { None } else { Some(herd::gather(&ground, &send)?) };
    let begun = Instant::now();
    let stage = Stage { ground: &ground, peers, news: &send };
    let mut running = (tool.start)(&stage)?;
    await_ready(&mut running.kept, running.ready, &ground, &news)?;
    let ready = begun.elapsed().as_secs_f64();
    thread::sleep(windows.warm_up);
    let pid = running.kept.pid();
    let programs = Programs::held_by(&[pid]);
    let mut kills = Kills::plan(&ground, tool);
    let mut half = |name: &str, kept: &mut Kept| -> Result<Value, String> {
        phase(&format!("{name}, idle"));
        let idle = meters::window(&ground, pid, &programs, || thread::sleep(windows.idle));
        let memory = meters::memory(&ground, pid);
        drain(&news);
        phase(&format!("{name}, deaths"));
        let mut deaths = Value::Null;
        let busy = meters::window(&ground, pid, &programs, || deaths = kills.happen(windows, &news));
        match kept.ended() {
            Some(how) => Err(format!("it has ended: {how}")),
            None => Ok(json!({ "idle": idle, "memory": memory, "busy": busy, "deaths": deaths })),
        }
    };
    let quiet = half("quiet", &mut running.kept)?;
    let noisy = among_strangers(&ground, windows, &send, || half("among strangers", &mut running.kept))?;
    Ok(json!({ "ready_s": ready, "quiet": quiet, "noisy": noisy, "living": ground.count_living() }))
}

/// The same while strangers come and go, and how many there really were.
fn among_strangers(
    ground: &Ground,
    windows: &Windows,
    news: &Sender<News>,
    action: impl FnOnce() -> Result<Value, String>,
) -> Result<Value, String> {
    if windows.noise == 0 {
        return Ok(Value::Null);
    }
    let noise = Noise::make(ground, windows.noise, news)?;
    // Whoever died last in the first half has been dealt with by then.
    thread::sleep(windows.warm_up);
    let (before, begun) = noise.so_far();
    let mut half = action()?;
    let (after, ended) = noise.so_far();
    half["strangers_a_second"] = json!((after - before) as f64 / ended.duration_since(begun).as_secs_f64());
    Ok(half)
}

/// Waits until a tool does its work, and forgets what it has said and started on the way there.
fn await_ready(kept: &mut Kept, mut ready: Ready, ground: &Ground, news: &Receiver<News>) -> Result<(), String> {
    let end = Instant::now() + LIMIT;
    let mut said = Vec::new();
    let mut asked = Instant::now();
    loop {
        for news in news.try_iter() {
            if let News::Said(_, line) = news {
                said.push(line);
            }
        }
        let is_ready = match &mut ready {
            Ready::AllWorkers => ground.count_living() == ground.size,
            Ready::Said(text, times) => said.iter().filter(|line| line.contains(&**text)).count() >= *times,
            Ready::Asked(is_ready) => {
                let due = asked.elapsed() > Duration::from_millis(500);
                if due {
                    asked = Instant::now();
                }
                due && is_ready()
            }
        };
        if is_ready {
            return Ok(());
        }
        if let Some(how) = kept.ended() {
            thread::sleep(Duration::from_millis(100));
            said.extend(news.try_iter().filter_map(|news| match news {
                News::Said(_, line) => Some(line),
                News::Began(..) => None,
            }));
            return Err(format!("it ends at its start ({how}): {}", last(&said)));
        }
        if Instant::now() > end {
            let living = ground.count_living();
            let size = ground.size;
            return Err(format!(
                "not ready after {} s ({living} of {size} processes run); it has said: {}",
                LIMIT.as_secs(),
                last(&said)
            ));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The last lines of what was said.
fn last(said: &[String]) -> String {
    said.get(said.len().saturating_sub(3)..).unwrap_or_default().join(" / ")
}

fn drain(news: &Receiver<News>) {
    news.try_iter().for_each(drop);
}

/// What is done now, for whoever shows it.
fn phase(what: &str) {
    eprintln!("phase {what}");
}
