//! Circles between the modules of one crate.
//!
//! Crate walls keep arrows one-way between crates; this check keeps them one-way inside. It looks at top-level modules:
//! `a` points to `b` if code in `a.rs` or `a/` names `crate::b` (or reaches it by `super::`), or names something that
//! the crate's root re-exports from `b`. What the root itself defines is the crate's common ground and makes no arrow.
//! Tests make none either.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::allow::{Allow, Kind};
use super::finding::Finding;
use super::source::{Source, after, find_word, is_word};
use super::tree::Tree;

/// Arrows of one crate: from, to, and the first place that makes it.
type Arrows<'a> = BTreeMap<(String, String), (&'a str, usize)>;

/// Every circle, as one finding with all its arrows.
pub(crate) fn check(tree: &Tree, allow: &Allow) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in tree.packages() {
        let src = format!("{package}/src/");
        let krate = Crate::read(tree, &src);
        let mut arrows = krate.arrows();
        arrows.retain(|(_, to), (path, _)| !allow.has(Kind::Arrow, path, Some(to)));
        for circle in circles(&arrows) {
            findings.push(describe(&circle, &arrows));
        }
    }
    findings
}

/// The files of one crate, by what the scan needs to know of them.
struct Crate<'a> {
    /// Each file: its module path from the root, and its text. Tests are left out.
    files: Vec<(Vec<String>, &'a str, &'a Source)>,
    /// Names that the root re-exports, and the top-level module that each comes from.
    exports: BTreeMap<String, String>,
    /// The top-level modules.
    modules: BTreeSet<String>,
}

impl<'a> Crate<'a> {
    fn read(tree: &'a Tree, src: &'a str) -> Self {
        let mut files = Vec::new();
        for (path, source) in tree.sources(src) {
            let inside = path.strip_prefix(src).unwrap_or(path);
            let module = module_path(inside);
            let program = module.first().is_some_and(|first| first == "bin");
            if !program && !is_test(tree, src, &module) {
                files.push((module, path, source));
            }
        }
        let modules: BTreeSet<String> =
            files.iter().filter_map(|(module, ..)| module.first().cloned()).collect();
        let mut exports = BTreeMap::new();
        for (_, _, root) in files.iter().filter(|(module, ..)| module.is_empty()) {
            for path in used_paths(&root.code) {
                let path: Vec<&str> = path
                    .iter()
                    .map(String::as_str)
                    .skip_while(|part| matches!(*part, "self" | "crate"))
                    .collect();
                let (Some(first), Some(last)) = (path.first(), path.last()) else { continue };
                if !modules.contains(*first) {
                    continue;
                }
                if *last == "*" {
                    let below: Vec<_> =
                        files.iter().filter(|(m, ..)| m.len() == 1 && m[0] == *first).collect();
                    for (_, _, source) in below {
                        exports.extend(public_names(source).map(|name| (name, (*first).to_owned())));
                    }
                } else {
                    exports.insert((*last).to_owned(), (*first).to_owned());
                }
            }
        }
        Self { files, exports, modules }
    }

    fn arrows(&self) -> Arrows<'a> {
        let mut arrows = Arrows::new();
        for (module, path, source) in &self.files {
            let Some(from) = module.first() else { continue };
            for (name, offset) in root_names(source, module.len()) {
                let to = if self.modules.contains(&name) { Some(&name) } else { self.exports.get(&name) };
                if let Some(to) = to.filter(|to| *to != from) {
                    arrows.entry((from.clone(), to.clone())).or_insert_with(|| (*path, source.line(offset)));
                }
            }
        }
        arrows
    }
}

/// `a/b.rs` is `[a, b]`; the root file is `[]`.
fn module_path(inside: &str) -> Vec<String> {
    let stem = inside.strip_suffix(".rs").unwrap_or(inside);
    if matches!(stem, "lib" | "main") { Vec::new() } else { stem.split('/').map(str::to_owned).collect() }
}

/// Whether a file holds tests: by its name, or because its parent declares it so.
fn is_test(tree: &Tree, src: &str, module: &[String]) -> bool {
    if module.iter().any(|part| part == "tests") {
        return true;
    }
    (1..=module.len()).any(|depth| {
        let parent = match module.get(..depth - 1) {
            Some([]) | None => vec![format!("{src}lib.rs"), format!("{src}main.rs")],
            Some(parts) => vec![format!("{src}{}.rs", parts.join("/"))],
        };
        parent
            .iter()
            .filter_map(|path| tree.source(path))
            .any(|source| source.test_module_files().contains(&module[depth - 1]))
    })
}

/// The first name after the crate's root of every path in a file, with its place.
fn root_names(source: &Source, depth: usize) -> Vec<(String, usize)> {
    let inline = source.inline_modules();
    let mut names = Vec::new();
    for start in source.find_word("crate") {
        let rest = after(&source.code, start + "crate".len()).trim_start();
        if let Some(tail) = rest.strip_prefix("::").filter(|_| !source.in_test(start)) {
            names.extend(first_names(tail).into_iter().map(|name| (name, start)));
        }
    }
    for start in source.find_word("super") {
        if source.in_test(start) || ends_with_path(source.code.get(..start).unwrap_or_default()) {
            continue;
        }
        let nested = inline.iter().filter(|(_, range)| range.contains(&start)).count();
        let mut up = 1;
        let mut tail = after(&source.code, start + "super".len());
        while let Some(next) = tail.trim_start().strip_prefix("::") {
            tail = next.trim_start();
            match tail.strip_prefix("super") {
                Some(further) => {
                    up += 1;
                    tail = further;
                }
                None => break,
            }
        }
        if up == depth + nested {
            names.extend(first_names(tail).into_iter().map(|name| (name, start)));
        }
    }
    names
}

fn ends_with_path(before: &str) -> bool {
    before.trim_end().ends_with("::")
}

/// The first segment of a path, or of each path in a `{..}` group.
fn first_names(tail: &str) -> Vec<String> {
    let tail = tail.trim_start();
    if let Some(group) = tail.strip_prefix('{') {
        let mut depth = 1_usize;
        let inside: String = group
            .chars()
            .take_while(|c| {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                depth > 0
            })
            .collect();
        return split_group(&inside).iter().map(|part| word(part)).filter(|name| !name.is_empty()).collect();
    }
    Some(word(tail)).filter(|name| !name.is_empty()).into_iter().collect()
}

fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| is_word(*c)).collect()
}

/// The parts of a group, at its commas outside inner groups.
fn split_group(inside: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

/// Every path of every `use` of a file, with `as` resolved to the new name.
fn used_paths(code: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for start in find_word(code, "use") {
        let Some((statement, _)) = after(code, start + 3).split_once(';') else { continue };
        expand(statement, &[], &mut paths);
    }
    paths
}

fn expand(text: &str, prefix: &[String], paths: &mut Vec<Vec<String>>) {
    let text = text.trim();
    let mut path = prefix.to_vec();
    if let Some((head, group)) = text.split_once('{') {
        path.extend(head.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
        let inside = group.rsplit_once('}').map_or(group, |(inside, _)| inside);
        for part in split_group(inside) {
            expand(&part, &path, paths);
        }
        return;
    }
    let (text, renamed) = text.split_once(" as ").map_or((text, None), |(text, name)| (text, Some(name)));
    path.extend(text.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned));
    if let (Some(name), Some(last)) = (renamed, path.last_mut()) {
        name.trim().clone_into(last);
    }
    if path.len() > prefix.len() {
        paths.push(path);
    }
}

/// What a module offers under its own name.
fn public_names(source: &Source) -> impl Iterator<Item = String> {
    ["struct", "enum", "trait", "type", "const", "static", "fn"].into_iter().flat_map(|keyword| {
        source
            .find_word(keyword)
            .filter(|at| source.code.get(..*at).is_some_and(|before| before.trim_end().ends_with("pub")))
            .map(|at| word(after(&source.code, at + keyword.len())))
            .filter(|name| !name.is_empty())
    })
}

/// The shortest circle through each module that is on one, each circle once.
fn circles(arrows: &Arrows<'_>) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let starts: BTreeSet<&String> = arrows.keys().map(|(from, _)| from).collect();
    for start in starts {
        if found.iter().any(|circle| circle.contains(start)) {
            continue;
        }
        if let Some(circle) = shortest_circle(start, arrows) {
            found.push(circle);
        }
    }
    found
}

fn shortest_circle(start: &str, arrows: &Arrows<'_>) -> Option<Vec<String>> {
    let mut waiting = VecDeque::from([vec![start.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(path) = waiting.pop_front() {
        let last = path.last()?.clone();
        for (_, to) in arrows.keys().filter(|(from, _)| *from == last) {
            if to == start {
                return Some(path);
            }
            if seen.insert(to.clone()) {
                let mut longer = path.clone();
                longer.push(to.clone());
                waiting.push_back(longer);
            }
        }
    }
    None
}

fn describe(circle: &[String], arrows: &Arrows<'_>) -> Finding {
    let mut steps = Vec::new();
    for (place, from) in circle.iter().enumerate() {
        let to = &circle[(place + 1) % circle.len()];
        let (path, line) = arrows.get(&(from.clone(), to.clone())).copied().unwrap_or(("", 0));
        steps.push((format!("{from} -> {to} ({path}:{line})"), path, line));
    }
    let what: Vec<_> = steps.iter().map(|(text, ..)| text.as_str()).collect();
    let (path, line) = steps.first().map_or(("", 0), |(_, path, line)| (*path, *line));
    Finding::at(
        path,
        line,
        format!("modules in a circle: {}", what.join(", ")),
        "move what both need into a module below both, or hand it in as an argument",
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    fn circles_in(files: &[(&str, &str)]) -> Vec<String> {
        let mut all = vec![("crates/a/Cargo.toml", "")];
        all.extend_from_slice(files);
        check(&Fixture::new(&all).tree(), &Allow::default()).into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn one_way_is_right() {
        let files = [
            (
                "crates/a/src/lib.rs",
                "mod one; mod two;\npub struct Common;\nfn f() { one::f(); two::f(); }\n",
            ),
            ("crates/a/src/one.rs", "use crate::two::Thing;\nuse crate::Common;\n"),
            (
                "crates/a/src/two.rs",
                "//! Nothing of crate::one here.\nconst A: &str = \"crate::one\";\nuse crate::Common;\n",
            ),
        ];
        assert_eq!(circles_in(&files), Vec::<String>::new());
    }

    #[test]
    fn a_circle_is_found_with_both_places() {
        let files = [
            ("crates/a/src/lib.rs", "mod one; mod two;\n"),
            ("crates/a/src/one.rs", "\nuse crate::two::Thing;\n"),
            ("crates/a/src/two/deep.rs", "fn f() {\n    super::super::one::call();\n}\n"),
        ];
        let found = circles_in(&files);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("one -> two (crates/a/src/one.rs:2)"), "{found:?}");
        assert!(found[0].contains("two -> one (crates/a/src/two/deep.rs:2)"), "{found:?}");
    }

    #[test]
    fn groups_and_re_exports_do_not_hide_a_circle() {
        let files = [
            (
                "crates/a/src/lib.rs",
                "mod one; mod three; mod two;\npub use one::{Hidden as Shown, other};\npub use three::*;\n",
            ),
            ("crates/a/src/one.rs", "use crate::{two::{A, B}, three};\npub fn other() {}\n"),
            ("crates/a/src/two.rs", "use super::Shown;\n"),
            ("crates/a/src/three.rs", "pub struct Glob;\nfn f() { crate::other() }\n"),
        ];
        let found = circles_in(&files);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("one -> three") || found[1].contains("one -> three"), "{found:?}");
    }

    #[test]
    fn tests_and_inner_modules_make_no_arrow() {
        let files = [
            ("crates/a/src/lib.rs", "mod one; mod two;\n#[cfg(test)]\nmod bench;\n"),
            ("crates/a/src/one.rs", "use crate::two;\nmod inner { use super::two; use super::one; }\n"),
            ("crates/a/src/two.rs", "#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod more { use crate::one; }\n"),
            ("crates/a/src/two/tests.rs", "use crate::one;\n"),
            ("crates/a/src/bench.rs", "use crate::one;\n"),
        ];
        assert_eq!(circles_in(&files), Vec::<String>::new());
    }

    #[test]
    fn an_allowed_arrow_opens_the_circle() {
        let fixture = Fixture::new(&[
            ("crates/a/Cargo.toml", ""),
            ("crates/a/src/lib.rs", "mod one; mod two;\n"),
            ("crates/a/src/one.rs", "use crate::two;\n"),
            ("crates/a/src/two.rs", "use crate::one;\n"),
        ]);
        let list = "[[arrow]]\npath='crates/a/src/two.rs'\nto='one'\nreason='for now'\n";
        let allow = Allow::read(Some(list)).expect("a good list");
        assert_eq!(check(&fixture.tree(), &allow), []);
    }
}
