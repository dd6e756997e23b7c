//! The browser script: checked and built from `web/script` by TypeScript and esbuild, into files that are committed, so that
//! `cargo build` needs no Node.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::machine;
use crate::project::Project;
use crate::steps;

const SOURCE: &str = "web/script";
const DIST: &str = "crates/crosstally-ui/dist";
/// The table of ad click ids: the one place where they stand.
const TABLE: &str = "crates/crosstally-core/src/click.rs";
const IDS: &str = "web/script/ids.ts";
/// Compresses a file both ways.
const COMPRESS: &str = "const z=require('zlib'),f=require('fs'),p=process.argv[1],b=f.readFileSync(p);
f.writeFileSync(p+'.gz',z.gzipSync(b,{level:9}));
f.writeFileSync(p+'.br',z.brotliCompressSync(b,{params:{[z.constants.BROTLI_PARAM_QUALITY]:11}}));";
/// Fails unless both are the file.
const COMPARE: &str = "const z=require('zlib'),f=require('fs'),p=process.argv[1],b=f.readFileSync(p);
if(!z.gunzipSync(f.readFileSync(p+'.gz')).equals(b)||!z.brotliDecompressSync(f.readFileSync(p+'.br')).equals(b))process.exit(1)";

/// The packages of `web/`, installed below the target.
pub(crate) fn packages(project: &Project) -> Result<PathBuf> {
    machine::install_node_packages(
        &project.root.join("web"),
        &project.target.join("web-node"),
        "the tools of web/",
    )
}

/// `cargo xtask web`.
pub(crate) fn build(project: &Project) -> Result<()> {
    fs::write(project.root.join(IDS), ids(&project.root)?).with_context(|| format!("cannot write {IDS}"))?;
    let script = project.root.join(DIST).join("t.js");
    make(project, &script)?;
    steps::run(Command::new("node").args(["-e", COMPRESS]).arg(&script))?;
    for name in ["t.js", "t.js.gz", "t.js.br"] {
        let bytes = fs::metadata(project.root.join(DIST).join(name))?.len();
        steps::say(&format!("{DIST}/{name}: {bytes} bytes"));
    }
    Ok(())
}

/// Fails if what is committed is not what the source makes.
pub(crate) fn check(project: &Project) -> Result<()> {
    let stale = |name: &str, of: &str| format!("{name} is not what {of} makes: run `cargo xtask web`");
    if fs::read_to_string(project.root.join(IDS)).unwrap_or_default() != ids(&project.root)? {
        bail!(stale(IDS, TABLE));
    }
    let folder = tempfile::tempdir()?;
    let fresh = folder.path().join("t.js");
    make(project, &fresh)?;
    let script = project.root.join(DIST).join("t.js");
    if fs::read(&script).unwrap_or_default() != fs::read(&fresh)? {
        bail!(stale("crates/crosstally-ui/dist/t.js", SOURCE));
    }
    steps::run(Command::new("node").args(["-e", COMPARE]).arg(&script))
        .with_context(|| stale("the compressed script", "t.js"))
}

fn make(project: &Project, to: &Path) -> Result<()> {
    let packages = packages(project)?.join("node_modules");
    let tool = |path: &str| {
        let mut command = Command::new("node");
        command.arg(packages.join(path)).current_dir(project.root.join("web"));
        command
    };
    steps::run(tool("typescript/bin/tsc").args(["--project", "tsconfig.json"]))?;
    let options = [
        "script/t.ts",
        "--bundle",
        "--minify",
        "--format=iife",
        "--target=es2019",
        "--legal-comments=none",
        "--log-level=warning",
    ];
    steps::run(tool("esbuild/bin/esbuild").args(options).arg(format!("--outfile={}", to.display())))
}

/// The list of the script, from the table of core, which is read as text.
fn ids(root: &Path) -> Result<String> {
    let table = fs::read_to_string(root.join(TABLE)).with_context(|| format!("cannot read {TABLE}"))?;
    let lines = table.lines().filter_map(|line| line.trim().strip_prefix("AdClickParam { name: \""));
    let names: Vec<String> =
        lines.filter_map(|rest| Some(rest.split_once('"')?.0.to_ascii_lowercase())).collect();
    if names.is_empty() {
        bail!("no ad click ids in {TABLE}");
    }
    Ok(format!(
        "// Written by `cargo xtask web` from the table of {TABLE}; changes belong there.\n\
         export const adClickIds = \",{},\";\n",
        names.join(",")
    ))
}
