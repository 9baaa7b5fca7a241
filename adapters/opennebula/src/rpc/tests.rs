use backend::BackendError;

use super::{Call, Refusal, Value, read_answer};
use crate::recordings::answer;

fn error(code: i64, message: &str) -> BackendError {
    Refusal::Error { code, message: message.to_owned() }.into()
}

#[test]
fn answers_of_three_and_five_values_and_faults_are_told_apart() {
    assert_eq!(answer("one.vm.allocate.ok_user"), Ok(Value::Number(2)));
    assert_eq!(answer("one.user.login.ok_generate"), Ok(Value::Text("****TOKEN****".into())));
    let unknown = answer("one.vm.info.err_no_such_vm").unwrap_err();
    let message = "[one.vm.info] Error getting virtual machine [999].".to_owned();
    assert_eq!(unknown, Refusal::Error { code: 1024, message });
    assert!(unknown.is_unknown());
    let wrong = answer("one.vm.info.fault_wrong_type").unwrap_err();
    assert!(matches!(&wrong, Refusal::Fault { code: -501, .. }), "{wrong:?}");
    let missing = BackendError::from(answer("one.vm.nosuch.fault_unknown_method").unwrap_err());
    assert!(matches!(missing, BackendError::Unsupported(_)), "{missing:?}");
}

#[test]
fn what_is_no_answer_fails_and_names_the_endpoint() {
    for body in [
        "",
        "<HTML><BODY><H1>Error 400</H1></BODY></HTML>",
        "<methodResponse/>",
        "<methodResponse><params><param><value><array><data/></array></value></param></params></methodResponse>",
        "<!DOCTYPE a><methodResponse/>",
    ] {
        let error = read_answer(body.as_bytes()).unwrap_err();
        assert!(matches!(&error, BackendError::Failed(why) if why.contains("endpoint")), "{error}");
    }
}

#[test]
fn a_call_is_written_with_its_types() {
    let call = Call::new("one.vm.action").with("a<b").with(-1).with(true);
    let body = call.body("us&er:secret");
    let values = "<param><value><string>us&amp;er:secret</string></value></param><param><value><string>a&lt;b</string>\
        </value></param><param><value><int>-1</int></value></param><param><value><boolean>1</boolean></value></param>";
    assert!(body.contains("<methodName>one.vm.action</methodName>") && body.contains(values), "{body}");
}

/// What real daemons said, by what the broker has to do next.
#[test]
fn errors_are_sorted_by_code_and_text() {
    let is = |error: BackendError, wanted: &str| {
        let kind = match &error {
            BackendError::Unreachable(_) => "unreachable",
            BackendError::Unauthorized(_) => "unauthorized",
            BackendError::Refused(_) => "refused",
            BackendError::Capacity(_) => "capacity",
            BackendError::Unsupported(_) => "unsupported",
            BackendError::NotFound(_) => "not found",
            BackendError::Conflict(_) => "conflict",
            BackendError::Failed(_) => "failed",
        };
        assert_eq!(kind, wanted, "{error}");
    };
    for (code, message, wanted) in [
        (256, "[one.vm.info] User couldn't be authenticated, aborting call.", "unauthorized"),
        (512, "[one.vm.allocate] User [2] : Not authorized to perform CREATE VM.", "refused"),
        (512, "[one.vm.allocate] User [2] : user [2] limit of 128 reached for MEMORY quota in VM.", "capacity"),
        (512, "[one.vm.allocate] User [2] : VM Template includes a restricted attribute DATA.", "refused"),
        (512, "[one.vm.action] User [0] : VM is locked. [0].", "conflict"),
        (1024, "[one.vm.info] Error getting virtual machine [999].", "not found"),
        (1024, "[one.image.allocate] Error getting datastore [999].", "not found"),
        (
            2048,
            "[one.vm.action] Error performing action \"poweroff\": This action is not available for state POWEROFF",
            "conflict",
        ),
        (2048, "[one.vm.action] Action \"frobnicate\" is not supported", "refused"),
        (2048, "[one.image.delete] Cannot delete image. There are 1 VMs using it.", "conflict"),
        (
            2048,
            "[one.vn.delete] Cannot delete virtual network. Can not remove a virtual network with leases in use",
            "conflict",
        ),
        (2048, "[one.vm.attach] Image with ID: 999 does not exist", "not found"),
        (2048, "[one.vm.attach] Could not attach a new disk to VM 5, wrong state BOOT.", "conflict"),
        (2048, "[one.vm.diskresize] New disk size has to be greater than current one", "refused"),
        (2048, "[one.vm.resize] Not enough memory: 1023999998976/16777216", "capacity"),
        (2048, "[one.image.allocate] Not enough space in datastore", "capacity"),
        (2048, "[one.vm.detach] VM disk does not exist", "not found"),
        (4096, "[one.vmpool.info] Incorrect filter_flag", "refused"),
        (8192, "[one.vm.allocate] MEMORY attribute must be a positive integer value.", "refused"),
        (8192, "[one.vm.allocate] Virtual network with ID: 999 does not exist", "not found"),
        (8192, "[one.template.allocate] NAME is already taken by TEMPLATE 0.", "conflict"),
        (8192, "[one.vn.hold] Address is not part of the address range or in use.", "conflict"),
        (8192, "[one.vmpool.info] JSON query search is not supported by the SQL backend", "unsupported"),
        (8192, "Cannot process request, no leader found", "unreachable"),
        (8192, "Cannot process request, oned cluster in election mode", "unreachable"),
        (16384, "[one.image.allocate] Error allocating a new image. NAME is already taken by IMAGE 0.", "conflict"),
        (32768, "locked", "conflict"),
        (65536, "replication", "unreachable"),
        (77, "who knows", "failed"),
    ] {
        is(error(code, message), wanted);
    }
    let taken = |message: &str| Refusal::Error { code: 8192, message: message.into() }.is_name_taken();
    assert!(taken("[one.vn.allocate] NAME is already taken by NET 3.") && !taken("VM is locked"));
}
