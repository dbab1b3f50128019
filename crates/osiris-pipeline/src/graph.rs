//! A topological order of steps, and the detection of cycles. It knows indexes, not steps.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// For each node, the nodes it waits for.
pub(crate) type Dependencies = Vec<Vec<usize>>;

/// An order in which every node comes after the nodes it waits for; among candidates the lowest index comes first.
///
/// # Errors
/// The cycles, each as the nodes along it.
pub(crate) fn order(dependencies: &Dependencies) -> Result<Vec<usize>, Vec<Vec<usize>>> {
    let mut waiting: Vec<usize> = dependencies.iter().map(Vec::len).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); dependencies.len()];
    for (node, before) in dependencies.iter().enumerate() {
        before.iter().for_each(|first| dependents[*first].push(node));
    }
    let ready = waiting.iter().enumerate().filter(|(_, count)| **count == 0).map(|(node, _)| Reverse(node));
    let mut ready: BinaryHeap<Reverse<usize>> = ready.collect();
    let mut order = Vec::with_capacity(dependencies.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for next in &dependents[node] {
            waiting[*next] -= 1;
            if waiting[*next] == 0 {
                ready.push(Reverse(*next));
            }
        }
    }
    if order.len() == dependencies.len() { Ok(order) } else { Err(cycles(dependencies, &waiting)) }
}

/// Follows, from every node that never became ready, the first one it waits for: that must run into a cycle.
fn cycles(dependencies: &Dependencies, waiting: &[usize]) -> Vec<Vec<usize>> {
    let mut walk_of: Vec<Option<usize>> = vec![None; dependencies.len()];
    let mut cycles = Vec::new();
    for start in (0..dependencies.len()).filter(|node| waiting[*node] > 0) {
        let mut path = Vec::new();
        let mut node = start;
        while walk_of[node].is_none() {
            walk_of[node] = Some(start);
            path.push(node);
            match dependencies[node].iter().find(|before| waiting[**before] > 0) {
                Some(before) => node = *before,
                None => break,
            }
        }
        if walk_of[node] == Some(start)
            && let Some(entry) = path.iter().position(|seen| *seen == node)
            && dependencies[path[path.len() - 1]].contains(&node)
        {
            let mut cycle = path.split_off(entry);
            let first = cycle.iter().enumerate().min_by_key(|(_, node)| **node).map_or(0, |(at, _)| at);
            cycle.rotate_left(first);
            cycles.push(cycle);
        }
    }
    cycles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_decides_among_those_that_are_ready() {
        assert_eq!(order(&vec![vec![], vec![3], vec![], vec![]]), Ok(vec![0, 2, 3, 1]));
        assert_eq!(order(&vec![vec![2], vec![], vec![1]]), Ok(vec![1, 2, 0]));
    }

    #[test]
    fn each_cycle_is_named_once_and_what_hangs_on_it_not() {
        let dependencies = vec![vec![1], vec![2], vec![0], vec![0], vec![4], vec![]];
        assert_eq!(order(&dependencies), Err(vec![vec![0, 1, 2], vec![4]]));
    }
}
