//! Whatever a log, a register or a command line may be that it should not be: the exit status, the words, the accounts.

use crate::harness::Case;

#[test]
fn the_ready_case_has_nothing_bad() {
    let output = Case::ready().run(&["audit", "--json", "--register", "register", "logs"]);
    let output = output.expect_status(0);
    let report = output.report();
    assert_eq!(report["accounting"]["calls"], 10);
    assert_eq!(report["usage"][0]["verdict"], "granted");
    assert_eq!(report["usage"].as_array().unwrap().len(), 1);
}
