//! A disk that fills up: the write runs in a process of its own whose files may not pass a size.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::bench::Bench;

/// Has `component` write more than 1 MB into `directory` where no more fits. Returns what it says.
pub(crate) fn write_beyond_a_limit(component: &str, directory: &Path, mut config: Value) -> String {
    let job = tempfile::tempdir().unwrap();
    config["path"] = directory.join(config["path"].as_str().unwrap()).display().to_string().into();
    let task = json!({"component": component, "config": config, "directory": directory});
    std::fs::write(job.path().join("task.json"), task.to_string()).unwrap();
    // A size limit in blocks of 512 bytes; without the trap the signal would end the process before it can say anything.
    let script = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\"";
    let child = Command::new("/bin/sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "limited::child", "--ignored", "--nocapture", "--test-threads=1"])
        .current_dir(job.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout).into_owned();
    let said = text.split("<<<").nth(1).and_then(|rest| rest.split(">>>").next());
    let said = said.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&child.stderr)));
    said.replace(&directory.display().to_string(), "[data]")
}

#[tokio::test]
#[ignore = "the other side of write_beyond_a_limit"]
async fn child() {
    let Ok(task) = std::fs::read_to_string("task.json") else { return };
    let task: Value = serde_json::from_str(&task).unwrap();
    let bench = Bench::reaching(b"", Some(task["directory"].as_str().unwrap().into()));
    let select = "SELECT i AS id, md5(i::VARCHAR) AS name FROM range(200000) t(i)";
    let result = bench.write(task["component"].as_str().unwrap(), select, task["config"].clone()).await;
    println!("<<<{}>>>", bench.shown(result.err().unwrap()));
}
