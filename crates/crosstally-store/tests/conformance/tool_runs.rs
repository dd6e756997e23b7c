//! Runs of the tools.

use crosstally_core::ids::RunId;
use crosstally_store::ToolRun;

use crate::build::{self, NASTY};
use crate::stage::Stage;

fn run(ms: i64, tool: &str) -> ToolRun {
    ToolRun {
        id: RunId::new(build::at(ms), [7; 10]),
        at: build::at(ms),
        tool: tool.into(),
        author: "ci".into(),
        passed: ms % 2 == 0,
        request: "{}".into(),
        answer: "{\"ok\":true}".into(),
        sealed: vec![0, 255, 1],
    }
}

pub(crate) async fn a_run_comes_back_as_it_was(stage: &Stage) {
    let store = stage.open().await;
    for (ms, text) in (0_i64..).zip(NASTY) {
        let mut run = run(ms, "redirect_check");
        run.author = (*text).into();
        run.request = (*text).into();
        run.answer = (*text).into();
        run.sealed = text.as_bytes().to_vec();
        store.add_tool_run(run.clone(), 100).await.unwrap();
        assert_eq!(store.tool_run(run.id).await.unwrap(), Some(run));
    }
    assert_eq!(store.tool_run(RunId::from_bytes([9; 16])).await.unwrap(), None);
}

pub(crate) async fn runs_are_listed_newest_first_and_the_oldest_forgotten(stage: &Stage) {
    let store = stage.open().await;
    for ms in 0..6 {
        let tool = if ms % 2 == 0 { "utm_build" } else { "click_extract" };
        store.add_tool_run(run(ms, tool), 2).await.unwrap();
    }
    let times = async |tool: Option<&str>, before: Option<i64>, limit| -> Vec<i64> {
        let before = before.map(|ms| run(ms, "").id);
        let found = store.list_tool_runs(tool.map(str::to_owned), before, limit).await.unwrap();
        found.iter().map(|run| run.at.millis_since(build::at(0))).collect()
    };
    assert_eq!(times(None, None, 10).await, [5, 4, 3, 2], "two are kept of each");
    assert_eq!(times(None, Some(4), 10).await, [3, 2]);
    assert_eq!(times(None, None, 1).await, [5]);
    assert_eq!(times(Some("utm_build"), None, 10).await, [4, 2]);
    assert_eq!(store.tool_run(run(0, "").id).await.unwrap(), None);
}

pub(crate) async fn runs_of_one_tool_push_out_none_of_another(stage: &Stage) {
    let store = stage.open().await;
    store.add_tool_run(run(0, "preflight_run"), 3).await.unwrap();
    for ms in 1..20 {
        store.add_tool_run(run(ms, "click_extract"), 3).await.unwrap();
    }
    assert!(store.tool_run(run(0, "").id).await.unwrap().is_some());
    let all = store.list_tool_runs(None, None, 50).await.unwrap();
    assert_eq!(all.len(), 4);
}
