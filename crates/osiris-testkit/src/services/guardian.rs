//! A server program that does not outlive the test: a shell waits for the end of a pipe that the test's process holds, then
//! kills the server and removes its directory. The pipe ends with the process, however it ends.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use osiris_core::Result;

/// `$1` is the directory, the rest the command. A line on the pipe that says `kill` ends the server alone, with the processes that
/// it has made for its sessions: stopped first, so that it makes no more of them.
const SCRIPT: &str = r#"
directory=$1; shift
"$@" </dev/null & server=$!
end() {
  kill -STOP $server 2>/dev/null
  kill -9 $server $(cat /proc/$server/task/$server/children 2>/dev/null) 2>/dev/null
  wait $server 2>/dev/null
  # PostgreSQL keeps a shared memory segment that outlives it, and a system has a few thousand of them.
  segment=$(sed -n '7s/^ *[0-9]* *//p' "$directory/data/postmaster.pid" 2>/dev/null)
  if [ -n "$segment" ]; then ipcrm -m "$segment" 2>/dev/null; fi
}
trap end INT TERM HUP
while read -r word; do
  case $word in
    kill) end; exit 0 ;;
    stop) kill -TERM $server; wait $server 2>/dev/null; exit 0 ;;
    interrupt) kill -INT $server; wait $server 2>/dev/null; exit 0 ;;
  esac
done
end
# A small disk of a test that was killed.
sed -n "s|^[^ ]* \($directory/[^ ]*\) .*|\1|p" /proc/mounts 2>/dev/null | while read -r place; do umount -l "$place"; done
rm -rf "$directory"
"#;

/// A server with its guardian.
pub(crate) struct Guardian {
    shell: Child,
}

impl Guardian {
    /// Starts `command`, whose output goes to `log`. `directory` is removed when the test's process has ended.
    pub(crate) fn start(directory: &Path, command: &[String], log: &Path) -> Result<Self> {
        let log = File::create(log)?;
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(directory)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { shell })
    }

    /// Ends the server by a word of the script; its directory stays.
    pub(crate) fn end(&mut self, word: &str) -> Result<()> {
        if let Some(mut pipe) = self.shell.stdin.take() {
            pipe.write_all(format!("{word}\n").as_bytes())?;
            pipe.flush()?;
            self.shell.wait()?;
        }
        Ok(())
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // The shell ends by itself; waiting keeps it from becoming a zombie and the directory from being in use.
        let _ = self.shell.wait();
    }
}
