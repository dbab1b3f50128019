//! Planning does not get slower than the file gets longer.

use std::time::{Duration, Instant};

use crate::components::{plan, with_steps};

fn chain(steps: usize) -> String {
    let mut text = String::from("  - {id: s0, component: db.extractor, config: {query: q}}\n");
    for step in 1..steps {
        let before = step - 1;
        text.push_str(&format!(
            "  - id: s{step}\n    component: sql.processor\n    needs: [s{before}]\n    config:\n      query: |\n        SELECT *\n        FROM ${{s{before}.table}}\n"
        ));
    }
    with_steps(&text)
}

#[test]
fn a_hundred_steps_are_planned_in_no_time() {
    let text = chain(100);
    let started = Instant::now();
    assert_eq!(plan(&text).steps().len(), 100);
    // A debug build on a busy machine; a release build takes a few milliseconds.
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[test]
fn ten_times_the_steps_do_not_take_a_hundred_times_as_long() {
    let time = |steps: usize| {
        let text = chain(steps);
        (0..3)
            .map(|_| {
                let started = Instant::now();
                assert_eq!(plan(&text).steps().len(), steps);
                started.elapsed()
            })
            .min()
            .unwrap()
    };
    let (short, long) = (time(200), time(2000));
    assert!(long < short * 40, "{short:?} for 200 steps, {long:?} for 2000");
}
