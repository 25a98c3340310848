//! What the built-in formats of audit logs read, after the documentation of those who write them, and what the
//! language has for their sake.

use super::*;
use crate::call::Outcome;

/// The reads of a log, as its framing and format have them: the whole call, or the reason.
fn read(name: &str, log: &str) -> Vec<std::result::Result<Flat, Reason>> {
    read_as(&Format::built_in(name).unwrap(), log)
}

fn read_as(format: &Format, log: &str) -> Vec<std::result::Result<Flat, Reason>> {
    let framed = crate::input::Input::framed_head(log.as_bytes(), &format.framing());
    let mut scratch = Scratch::default();
    let lines = framed.split(|&b| b == b'\n').map(|line| {
        let start = line.iter().position(|&b| b != 0).unwrap_or(line.len());
        let end = line.iter().rposition(|&b| b != 0).map_or(start, |last| last + 1);
        &line[start..end]
    });
    let lines = lines.filter(|line| !line.trim_ascii().is_empty());
    lines.map(|line| format.parse(line, &mut scratch).map(|call| Flat::of(&call))).collect()
}

/// The only call of a log.
#[track_caller]
fn call(name: &str, log: &str) -> Flat {
    let mut all = read(name, log);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).unwrap_or_else(|reason| panic!("{reason:?}: {log}"))
}

/// A call's fields as texts, absent ones empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Flat {
    at: String,
    credential: String,
    method: String,
    path: String,
    host: String,
    api: String,
    operation: String,
    outcome: String,
    status: String,
    bytes: String,
    latency_us: String,
    subject: String,
    actor: String,
    remote_addr: String,
    user_agent: String,
    request_id: String,
}

impl Flat {
    fn of(call: &Call<'_>) -> Flat {
        let text =
            |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().unwrap_or("").to_owned();
        let number = |number: Option<u64>| number.map_or(String::new(), |n| n.to_string());
        let sourced = |sourced: &crate::call::Sourced<'_>| match &sourced.before {
            None => text(&sourced.after),
            before => text(before),
        };
        Flat {
            at: call.at.to_string(),
            credential: text(&call.credential),
            method: text(&call.method),
            path: text(&call.path),
            host: text(&call.host),
            api: text(&call.api),
            operation: text(&call.operation),
            outcome: call.outcome.to_string(),
            status: number(call.status.map(u64::from)),
            bytes: number(call.bytes),
            latency_us: number(call.latency_us),
            subject: sourced(&call.subject),
            actor: sourced(&call.actor),
            remote_addr: text(&call.remote_addr),
            user_agent: text(&call.user_agent),
            request_id: text(&call.request_id),
        }
    }
}

/// The built-in that `auto` takes.
fn detected(log: &str) -> std::result::Result<&'static str, Undetected> {
    let formats: Vec<Format> =
        Format::BUILT_IN.iter().map(|name| Format::built_in(name).unwrap()).collect();
    let formats: Vec<&Format> = formats.iter().collect();
    detect(&formats, log.as_bytes()).map(|idx| Format::BUILT_IN[idx])
}

fn own(value: &str) -> String {
    value.to_owned()
}

// aws-cloudtrail

/// A record with its identity, and what else is given.
fn cloudtrail(identity: &str, more: &str) -> String {
    format!(
        r#"{{"eventVersion":"1.09","userIdentity":{identity},"eventTime":"2024-05-02T10:15:30Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"eu-central-1","sourceIPAddress":"203.0.113.9","userAgent":"[aws-cli/2.15.0]","requestParameters":{{"bucketName":"letters","key":"a/b.txt"}},"responseElements":null,"requestID":"R1","eventID":"7b0e2c64-0000-4000-8000-000000000001","readOnly":true,"eventType":"AwsApiCall","managementEvent":false,"recipientAccountId":"111122223333","eventCategory":"Data"{more}}}"#
    )
}

const USER: &str = r#"{"type":"IAMUser","principalId":"AIDAEXAMPLEUSER","arn":"arn:aws:iam::111122223333:user/Zoe","accountId":"111122223333","accessKeyId":"AKIAEXAMPLEKEY","userName":"Zoe"}"#;

fn cloudtrail_call() -> Flat {
    Flat {
        at: own("2024-05-02T10:15:30Z"),
        credential: own("AKIAEXAMPLEKEY"),
        api: own("s3.amazonaws.com"),
        operation: own("GetObject"),
        outcome: own("served"),
        actor: own("Zoe"),
        remote_addr: own("203.0.113.9"),
        user_agent: own("[aws-cli/2.15.0]"),
        request_id: own("7b0e2c64-0000-4000-8000-000000000001"),
        ..Flat::default()
    }
}

#[test]
fn cloudtrail_comes_in_many_containers() {
    let record = cloudtrail(USER, "");
    let text = serde_json::to_string(&record).unwrap();
    let looked_up = format!(
        r#"{{"EventId":"x","EventName":"GetObject","ReadOnly":"true","EventTime":"2024-05-02 12:15:30+02:00","EventSource":"other","Username":"Zoe","Resources":[],"CloudTrailEvent":{text}}}"#
    );
    let pretty = serde_json::from_str::<serde_json::Value>(&record).unwrap();
    let pretty = serde_json::to_string_pretty(&pretty).unwrap();
    for (container, count) in [
        (format!(r#"{{"Records":[{record},{record}]}}"#), 2),
        (format!("[\n{record},\n{pretty}\n]\n"), 2),
        (pretty.clone(), 1),
        (format!("{record}\n{record}\n{record}\n"), 3),
        (
            format!("{{\n  \"Events\": [\n    {looked_up},\n{looked_up}], \"NextToken\": \"t\" }}"),
            2,
        ),
        (format!("{looked_up}\n{looked_up}\n"), 2),
        (record.replacen('{', r#"{"@timestamp":"2024-05-02T10:20:00.000Z","#, 1), 1),
    ] {
        let calls = read("aws-cloudtrail", &container);
        assert_eq!(calls, vec![Ok(cloudtrail_call()); count], "{container}");
        assert_eq!(detected(&container), Ok("aws-cloudtrail"), "{container}");
    }
}

#[test]
fn cloudtrail_callers_are_who_can_be_registered() {
    let role = r#""sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLE","arn":"arn:aws:iam::111122223333:role/Partner","accountId":"111122223333","userName":"Partner"},"attributes":{"mfaAuthenticated":"false"}}"#;
    let assumed = r#""type":"AssumedRole","principalId":"AROAEXAMPLE:batch-7","arn":"arn:aws:sts::111122223333:assumed-role/Partner/batch-7","accountId":"111122223333""#;
    let user = r#""type":"IAMUser","principalId":"AIDAEXAMPLEUSER","arn":"arn:aws:iam::111122223333:user/Zoe","accountId":"111122223333","userName":"Zoe""#;
    let session = r#""sessionContext":{"sessionIssuer":{},"webIdFederationData":{},"attributes":{"mfaAuthenticated":"true"}}"#;
    for (identity, credential, actor) in [
        (USER.to_owned(), "AKIAEXAMPLEKEY", "Zoe"),
        // A temporary key is its role's.
        (
            format!(r#"{{{assumed},"accessKeyId":"ASIAEXAMPLEKEY",{role}}}"#),
            "arn:aws:iam::111122223333:role/Partner",
            "arn:aws:sts::111122223333:assumed-role/Partner/batch-7",
        ),
        // So it is where a service makes use of the role.
        (
            format!(r#"{{{assumed},{role},"invokedBy":"config.amazonaws.com"}}"#),
            "arn:aws:iam::111122223333:role/Partner",
            "arn:aws:sts::111122223333:assumed-role/Partner/batch-7",
        ),
        // In the console a user has one too.
        (
            format!(r#"{{{user},"accessKeyId":"ASIAEXAMPLEKEY",{session}}}"#),
            "arn:aws:iam::111122223333:user/Zoe",
            "Zoe",
        ),
        (
            own(
                r#"{"type":"Root","principalId":"111122223333","arn":"arn:aws:iam::111122223333:root","accountId":"111122223333"}"#,
            ),
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:root",
        ),
        (
            own(r#"{"type":"AWSService","invokedBy":"autoscaling.amazonaws.com"}"#),
            "autoscaling.amazonaws.com",
            "",
        ),
        (
            own(r#"{"type":"AWSAccount","principalId":"AIDAOTHER","accountId":"444455556666"}"#),
            "AIDAOTHER",
            "",
        ),
        (
            own(r#"{"type":"AWSAccount","principalId":"","accountId":"444455556666"}"#),
            "444455556666",
            "",
        ),
        (
            own(r#"{"type":"AWSAccount","principalId":"","accountId":"ANONYMOUS_PRINCIPAL"}"#),
            "",
            "",
        ),
        (
            own(
                r#"{"type":"IdentityCenterUser","accountId":"111122223333","onBehalfOf":{"userId":"u-1","identityStoreArn":"arn:aws:identitystore::1:identitystore/d"},"credentialId":"c"}"#,
            ),
            "u-1",
            "u-1",
        ),
        (own("null"), "", ""),
    ] {
        let call = call("aws-cloudtrail", &cloudtrail(&identity, ""));
        assert_eq!(
            (call.credential.as_str(), call.actor.as_str()),
            (credential, actor),
            "{identity}"
        );
    }
}

#[test]
fn cloudtrail_outcomes_come_from_error_codes() {
    let outcome = |more: &str| call("aws-cloudtrail", &cloudtrail(USER, more)).outcome;
    for denied in [
        "AccessDenied",
        "AccessDeniedException",
        "Client.UnauthorizedOperation",
        "UnauthorizedException",
        "NotAuthorizedException",
        "VpceAccessDenied",
        "AuthorizationErrorException",
        "AuthFailure",
        "Client.AuthFailure",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "ExpiredTokenException",
    ] {
        assert_eq!(outcome(&format!(r#","errorCode":"{denied}""#)), "denied", "{denied}");
    }
    for failed in [
        "ThrottlingException",
        "NoSuchKey",
        "Client.InvalidParameterValue",
        "Client.DryRunOperation",
    ] {
        assert_eq!(
            outcome(&format!(r#","errorCode":"{failed}","errorMessage":"m""#)),
            "failed",
            "{failed}"
        );
    }
    for none in ["null", "\"\"", "\"-\""] {
        assert_eq!(outcome(&format!(r#","errorCode":{none}"#)), "served");
    }
    // Sign-ins say it in another place.
    let sign_in =
        |answer: &str| outcome(&format!(r#","responseElements":{{"ConsoleLogin":"{answer}"}}"#));
    assert_eq!((sign_in("Failure").as_str(), sign_in("Success").as_str()), ("denied", "served"));
    assert_eq!(outcome(r#","errorMessage":"No such thing""#), "failed");
    let data = r#","additionalEventData":{"bytesTransferredOut":12.0}"#;
    assert_eq!(call("aws-cloudtrail", &cloudtrail(USER, data)).bytes, "12");
}

#[test]
fn cloudtrail_insights_and_notifications_are_no_calls() {
    let insight = cloudtrail(USER, r#","eventCategory":"Insight""#);
    assert_eq!(read("aws-cloudtrail", &insight), [Err(Reason::NoTarget)]);
    let notification = cloudtrail(USER, r#","eventSource":"aws:s3""#);
    assert_eq!(read("aws-cloudtrail", &notification), [Err(Reason::NoTarget)]);
    assert!(detected(&notification).is_err());
    // Old records have no category, and only a request id.
    let old = cloudtrail(USER, r#","eventCategory":null,"eventID":null"#);
    assert_eq!(call("aws-cloudtrail", &old).request_id, "R1");
}

// gcp-audit

/// An entry with what is given in its payload and beside it.
fn gcp(payload: &str, more: &str) -> String {
    format!(
        r#"{{"insertId":"1abc","logName":"projects/p/logs/cloudaudit.googleapis.com%2Fdata_access","protoPayload":{{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","authenticationInfo":{{"principalEmail":"app@p.iam.gserviceaccount.com"}},"methodName":"storage.objects.get","requestMetadata":{{"callerIp":"203.0.113.9","callerSuppliedUserAgent":"gsutil/5.27"}},"resourceName":"projects/_/buckets/b/objects/o","serviceName":"storage.googleapis.com"{payload}}},"receiveTimestamp":"2024-05-02T10:15:32.5Z","resource":{{"type":"gcs_bucket","labels":{{}}}},"severity":"INFO","timestamp":"2024-05-02T10:15:30.123456789Z"{more}}}"#
    )
}

fn gcp_call() -> Flat {
    Flat {
        at: own("2024-05-02T10:15:30.123456789Z"),
        credential: own("app@p.iam.gserviceaccount.com"),
        api: own("storage.googleapis.com"),
        operation: own("storage.objects.get"),
        outcome: own("served"),
        actor: own("app@p.iam.gserviceaccount.com"),
        remote_addr: own("203.0.113.9"),
        user_agent: own("gsutil/5.27"),
        request_id: own("1abc"),
        ..Flat::default()
    }
}

#[test]
fn gcp_entries_are_read_whole() {
    let entry = gcp(r#","status":{}"#, "");
    for log in [
        format!("{entry}\n"),
        format!("[{entry}]"),
        format!(r#"{{"entries":[{entry}],"nextPageToken":"t"}}"#),
    ] {
        assert_eq!(read("gcp-audit", &log), [Ok(gcp_call())], "{log}");
        assert_eq!(detected(&log), Ok("gcp-audit"), "{log}");
    }
    let key = r#","authenticationInfo":{"principalEmail":"app@p.iam.gserviceaccount.com","serviceAccountKeyName":"//iam.googleapis.com/projects/p/serviceAccounts/app@p.iam.gserviceaccount.com/keys/k1","serviceAccountDelegationInfo":[{"firstPartyPrincipal":{"principalEmail":"zoe@example.org"}}]}"#;
    let with_key = call("gcp-audit", &gcp(key, ""));
    assert!(with_key.credential.ends_with("/keys/k1"), "{with_key:?}");
    assert_eq!(with_key.actor, "zoe@example.org");
    let nobody = r#","authenticationInfo":{"principalEmail":"system:anonymous"}"#;
    let nobody = call("gcp-audit", &gcp(nobody, ""));
    assert_eq!((nobody.credential.as_str(), nobody.actor.as_str()), ("", ""));
    // Other entries of the same project are no audit logs.
    let other = r#"{"insertId":"2","timestamp":"2024-05-02T10:15:30Z","textPayload":"started"}"#;
    assert_eq!(read("gcp-audit", other), [Err(Reason::NoTarget)]);
}

#[test]
fn gcp_outcomes_are_those_of_grpc() {
    for (status, number, outcome) in [
        (r#"{"code":7,"message":"PERMISSION_DENIED"}"#, "7", "denied"),
        (r#"{"code":16}"#, "16", "denied"),
        (r#"{"code":5,"message":"Not found"}"#, "5", "failed"),
        (r#"{"code":0}"#, "0", "served"),
        ("null", "", "served"),
    ] {
        let call = call("gcp-audit", &gcp(&format!(r#","status":{status}"#), ""));
        assert_eq!((call.status.as_str(), call.outcome.as_str()), (number, outcome), "{status}");
    }
}

#[test]
fn a_long_running_operation_of_gcp_is_one_call() {
    let marked = |marks: &str| {
        read(
            "gcp-audit",
            &gcp(
                "",
                &format!(
                    r#","operation":{{"id":"operation-1","producer":"compute.googleapis.com"{marks}}}"#
                ),
            ),
        )
    };
    assert_eq!(marked(r#","first":true"#), [Ok(gcp_call())]);
    assert_eq!(marked(r#","last":true"#), [Err(Reason::NoTarget)]);
    assert_eq!(marked(r#","first":false,"last":true"#), [Err(Reason::NoTarget)]);
    assert_eq!(marked(r#","first":true,"last":true"#), [Ok(gcp_call())]);
    assert_eq!(marked(""), [Ok(gcp_call())]);
}

// k8s-audit

/// An event at a stage, with what else is given.
fn k8s(stage: &str, more: &str) -> String {
    format!(
        r#"{{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"a-1","stage":"{stage}","requestURI":"/api/v1/namespaces/ns/pods?limit=500","verb":"list","user":{{"username":"system:serviceaccount:ns:sa","groups":["system:authenticated"],"extra":{{"x":["y"]}}}},"sourceIPs":["203.0.113.9","10.0.0.1"],"userAgent":"kubectl/v1.30.0","objectRef":{{"resource":"pods","namespace":"ns","apiVersion":"v1"}},"requestReceivedTimestamp":"2024-05-02T10:15:30.000001Z","stageTimestamp":"2024-05-02T10:15:31.5Z"{more}}}"#
    )
}

fn k8s_call() -> Flat {
    Flat {
        at: own("2024-05-02T10:15:30.000001Z"),
        credential: own("system:serviceaccount:ns:sa"),
        api: own("pods"),
        operation: own("list"),
        path: own("/api/v1/namespaces/ns/pods?limit=500"),
        outcome: own("served"),
        status: own("200"),
        actor: own("system:serviceaccount:ns:sa"),
        remote_addr: own("203.0.113.9"),
        user_agent: own("kubectl/v1.30.0"),
        request_id: own("a-1"),
        ..Flat::default()
    }
}

#[test]
fn a_kubernetes_request_is_one_call_whatever_stages_are_logged() {
    let done = k8s("ResponseComplete", r#","responseStatus":{"metadata":{},"code":200}"#);
    let received = k8s("RequestReceived", "");
    let started = k8s("ResponseStarted", r#","responseStatus":{"metadata":{},"code":200}"#);
    let not = || Err(Reason::NoTarget);
    let lines = format!("{received}\n{started}\n{done}\n");
    assert_eq!(read("k8s-audit", &lines), [not(), not(), Ok(k8s_call())]);
    assert_eq!(detected(&lines), Ok("k8s-audit"));
    let list = format!(
        r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{received},{done}]}}"#
    );
    assert_eq!(read("k8s-audit", &list), [not(), Ok(k8s_call())]);
    assert_eq!(detected(&list), Ok("k8s-audit"));
    // The other end that a request may come to.
    let panic = call("k8s-audit", &k8s("Panic", r#","responseStatus":{"code":500}"#));
    assert_eq!((panic.outcome.as_str(), panic.status.as_str()), ("failed", "500"));
    // Without a stage it is one if it says that it is an event of this log.
    let bare = done.replace("\"stage\"", "\"step\"");
    assert_eq!(read("k8s-audit", &bare), [Ok(k8s_call())]);
    assert_eq!(read("k8s-audit", &bare.replace("audit.k8s.io/v1", "v1")), [not()]);
}

#[test]
fn kubernetes_callers_are_who_authenticated() {
    let done = |more: &str| call("k8s-audit", &k8s("ResponseComplete", more));
    let impersonated =
        done(r#","impersonatedUser":{"username":"bob"},"responseStatus":{"code":403}"#);
    assert_eq!(
        (
            impersonated.credential.as_str(),
            impersonated.actor.as_str(),
            impersonated.outcome.as_str()
        ),
        ("system:serviceaccount:ns:sa", "bob", "denied")
    );
    let anonymous = done(r#","user":{"username":"system:anonymous"}"#);
    assert_eq!((anonymous.credential.as_str(), anonymous.actor.as_str()), ("", ""));
    assert_eq!(anonymous.outcome, "unknown");
    let no_resource = done(r#","objectRef":null,"requestURI":"/healthz""#);
    assert_eq!((no_resource.api.as_str(), no_resource.path.as_str()), ("", "/healthz"));
    // Before v1 the time had another name, without fractions.
    let old = done(r#","requestReceivedTimestamp":null,"timestamp":"2017-09-11T19:55:05Z""#);
    assert_eq!(old.at, "2017-09-11T19:55:05Z");
}

// google-workspace-token

/// An activity with its events.
fn workspace(events: &str) -> String {
    format!(
        r#"{{"kind":"admin#reports#activity","id":{{"time":"2024-05-02T10:15:30.123Z","uniqueQualifier":"-42","applicationName":"token","customerId":"C1"}},"etag":"\"e\"","actor":{{"email":"zoe@example.org","profileId":"1000"}},"ipAddress":"203.0.113.9","events":{events}}}"#
    )
}

#[test]
fn workspace_token_activities_name_client_api_and_method() {
    let used = workspace(
        r#"[{"type":"auth","name":"activity","parameters":[{"name":"api_name","value":"gmail"},{"name":"method_name","value":"gmail.users.messages.list"},{"name":"client_id","value":"77.apps.example"},{"name":"num_response_bytes","intValue":"512"},{"name":"product_bucket","value":"GMAIL"},{"name":"app_name","value":"Mailer"},{"name":"client_type","value":"WEB"}]}]"#,
    );
    let expected = Flat {
        at: own("2024-05-02T10:15:30.123Z"),
        credential: own("77.apps.example"),
        api: own("gmail"),
        operation: own("gmail.users.messages.list"),
        outcome: own("unknown"),
        bytes: own("512"),
        subject: own("zoe@example.org"),
        actor: own("zoe@example.org"),
        remote_addr: own("203.0.113.9"),
        request_id: own("-42"),
        ..Flat::default()
    };
    let page = format!(
        r#"{{"kind":"admin#reports#activities","etag":"\"x\"","nextPageToken":"A:1","items":[{used},{used}]}}"#
    );
    for (log, count) in [(format!("{used}\n"), 1), (page, 2), (format!("[{used}]"), 1)] {
        assert_eq!(read("google-workspace-token", &log), vec![Ok(expected.clone()); count]);
        assert_eq!(detected(&log), Ok("google-workspace-token"));
    }
    for name in ["authorize", "revoke"] {
        let about_token = call(
            "google-workspace-token",
            &workspace(&format!(
                r#"[{{"type":"auth","name":"{name}","parameters":[{{"name":"scope","multiValue":["https://mail.google.com/"]}},{{"name":"client_id","value":"77.apps.example"}}]}}]"#
            )),
        );
        assert_eq!((about_token.api.as_str(), about_token.operation.as_str()), ("token", name));
        assert_eq!(about_token.credential, "77.apps.example");
    }
    // As collectors hand it on, an activity for each event.
    let split = used.replace(r#""events":[{"#, r#""events":{"#).replace("}]}]}", "}]}}");
    assert_eq!(read("google-workspace-token", &split), [Ok(expected.clone())]);
    let flat = r#"{"id":{"time":"2024-05-02 10:15:30.123000000","uniqueQualifier":"-42","applicationName":"token"},"actor":{"email":"zoe@example.org"},"ipAddress":"203.0.113.9","type":"auth","name":"activity","parameters":{"api_name":"gmail","method_name":"gmail.users.messages.list","client_id":"77.apps.example","num_response_bytes":512}}"#;
    assert_eq!(read("google-workspace-token", flat), [Ok(expected.clone())]);
    let login = used.replace("\"token\"", "\"login\"");
    assert_eq!(read("google-workspace-token", &login), [Err(Reason::NoTarget)]);
}

// ms-graph-activity

const GRAPH: &str = r#"{"time":"2024-05-02T10:15:30.0159703Z","resourceId":"/TENANTS/T/PROVIDERS/MICROSOFT.AADIAM","operationName":"Microsoft Graph Activity","operationVersion":"v1.0","category":"MicrosoftGraphActivityLogs","resultSignature":"200","durationMs":"25","callerIpAddress":"203.0.113.9","correlationId":"r-1","level":"Informational","location":"North Europe","properties":{"timeGenerated":"2024-05-02T10:15:30.0159703Z","requestId":"r-1","operationId":"r-1","clientRequestId":"c-1","apiVersion":"v1.0","requestMethod":"GET","responseStatusCode":200,"tenantId":"T","durationMs":25,"responseSizeBytes":77,"appId":"app-1","UserPrincipalObjectID":"sp-1","userId":"u-1","scopes":"Mail.Read","ipAddress":"203.0.113.9","userAgent":"client/1.0","requestUri":"https://graph.microsoft.com/v1.0/users/zoe@example.org/messages?$top=1"},"tenantId":"T"}"#;

fn graph_call() -> Flat {
    Flat {
        at: own("2024-05-02T10:15:30.0159703Z"),
        credential: own("app-1"),
        method: own("GET"),
        path: own("https://graph.microsoft.com/v1.0/users/zoe@example.org/messages?$top=1"),
        outcome: own("served"),
        status: own("200"),
        bytes: own("77"),
        latency_us: own("25000"),
        subject: own("u-1"),
        actor: own("u-1"),
        remote_addr: own("203.0.113.9"),
        user_agent: own("client/1.0"),
        request_id: own("r-1"),
        ..Flat::default()
    }
}

#[test]
fn graph_activity_comes_as_resource_logs_and_as_rows() {
    let row = r#"{"TenantId":"W","TimeGenerated":"2024-05-02T10:15:30.0159703Z","Location":"North Europe","RequestId":"r-1","ApiVersion":"v1.0","RequestMethod":"GET","ResponseStatusCode":200,"AadTenantId":"T","IPAddress":"203.0.113.9","UserAgent":"client/1.0","RequestUri":"https://graph.microsoft.com/v1.0/users/zoe@example.org/messages?$top=1","DurationMs":25,"ResponseSizeBytes":77,"Scopes":"Mail.Read","UserId":"u-1","AppId":"app-1","ServicePrincipalId":"","Type":"MicrosoftGraphActivityLogs"}"#;
    let untyped = row.replace(r#","Type":"MicrosoftGraphActivityLogs""#, "");
    for log in [
        format!("{GRAPH}\n"),
        format!(r#"{{"records":[{GRAPH}]}}"#),
        format!("{row}\n"),
        format!("[{untyped}]"),
    ] {
        assert_eq!(read("ms-graph-activity", &log), [Ok(graph_call())], "{log}");
        assert_eq!(detected(&log), Ok("ms-graph-activity"), "{log}");
    }
    let audit = r#"{"Timestamp":"2024-05-02T10:15:30.0159703Z","IdentityProvider":"AAD","ApiVersion":"v1.0","ApplicationId":"app-1","IpAddress":"203.0.113.9","AccountObjectId":"u-1","RequestDuration":25,"RequestId":"r-1","RequestMethod":"GET","RequestUri":"https://graph.microsoft.com/v1.0/users/zoe@example.org/messages?$top=1","ResponseStatusCode":"200","Scopes":"Mail.Read"}"#;
    let known = Flat { bytes: own(""), user_agent: own(""), ..graph_call() };
    assert_eq!(read("ms-graph-activity", audit), [Ok(known)]);
    let denied = GRAPH.replace("responseStatusCode\":200", "responseStatusCode\":403");
    assert_eq!(call("ms-graph-activity", &denied).outcome, "denied");
    // An application that acts for itself is no person.
    let app = call("ms-graph-activity", &GRAPH.replace(r#""userId":"u-1","#, ""));
    assert_eq!((app.subject.as_str(), app.actor.as_str()), ("", ""));
    let gateway = r#"{"time":"2024-05-02T10:15:30Z","category":"ApplicationGatewayAccessLog","properties":{"requestUri":"/","httpStatus":200}}"#;
    assert_eq!(read("ms-graph-activity", gateway), [Err(Reason::NoTarget)]);
    let unnamed = gateway.replace("category", "cat");
    assert_eq!(read("ms-graph-activity", &unnamed), [Err(Reason::NoTarget)]);
}

// ocsf-api-activity

/// An event with what is given.
fn ocsf(more: &str) -> String {
    format!(
        r#"{{"metadata":{{"uid":"e-1","version":"1.3.0","product":{{"name":"P","vendor_name":"V"}}}},"time":1714644930123,"class_uid":6003,"class_name":"API Activity","category_uid":6,"activity_id":2,"type_uid":600302,"severity_id":1,"actor":{{"user":{{"uid":"u-1","name":"Zoe","type_id":1}}}},"api":{{"operation":"GetObject","service":{{"name":"s3.amazonaws.com"}},"request":{{"uid":"R1"}}}},"src_endpoint":{{"ip":"203.0.113.9"}},"http_request":{{"http_method":"GET","user_agent":"client/1.0","url":{{"hostname":"api.example","path":"/v1/x"}}}},"status_id":1,"status":"Success","duration":25{more}}}"#
    )
}

fn ocsf_call() -> Flat {
    Flat {
        at: own("2024-05-02T10:15:30.123Z"),
        credential: own("u-1"),
        method: own("GET"),
        path: own("/v1/x"),
        host: own("api.example"),
        api: own("s3.amazonaws.com"),
        operation: own("GetObject"),
        outcome: own("served"),
        latency_us: own("25000"),
        actor: own("Zoe"),
        remote_addr: own("203.0.113.9"),
        user_agent: own("client/1.0"),
        request_id: own("e-1"),
        ..Flat::default()
    }
}

#[test]
fn ocsf_api_activity_is_read_whole() {
    let event = ocsf("");
    for (log, count) in [(format!("{event}\n{event}\n"), 2), (format!("[{event}]"), 1)] {
        assert_eq!(read("ocsf-api-activity", &log), vec![Ok(ocsf_call()); count], "{log}");
        assert_eq!(detected(&log), Ok("ocsf-api-activity"), "{log}");
    }
    let other = event.replace("6003", "3002");
    assert_eq!(read("ocsf-api-activity", &other), [Err(Reason::NoTarget)]);
    let stage = ocsf(r#","message":"RequestReceived""#);
    assert_eq!(read("ocsf-api-activity", &stage), [Err(Reason::NoTarget)]);
    let stage = ocsf(r#","message":"ResponseComplete""#);
    assert_eq!(read("ocsf-api-activity", &stage), [Ok(ocsf_call())]);
    let role = "arn:aws:iam::111122223333:role/Partner";
    for session in ["arn:aws:sts::111122223333:assumed-role/Partner/batch-7", "AROAEXAMPLE:batch-7"]
    {
        let actor = format!(
            r#","actor":{{"user":{{"credential_uid":"ASIAEXAMPLEKEY","uid":"{session}"}},"session":{{"issuer":"{role}"}}}}"#
        );
        assert_eq!(call("ocsf-api-activity", &ocsf(&actor)).credential, role);
        let unissued = ocsf(&actor.replace(role, ""));
        assert_eq!(call("ocsf-api-activity", &unissued).credential, session);
    }
    for (key, credential) in [("AKIAEXAMPLEKEY", "AKIAEXAMPLEKEY"), ("ASIAEXAMPLEKEY", "u-1")] {
        let actor = format!(r#","actor":{{"user":{{"credential_uid":"{key}","uid":"u-1"}}}}"#);
        assert_eq!(call("ocsf-api-activity", &ocsf(&actor)).credential, credential);
    }
}

/// Writers differ in the unit of times, in spite of the schema.
#[test]
fn ocsf_times_are_those_of_arrival_in_any_unit() {
    for (time, at) in [
        (r#""time":1714644930123456"#, "2024-05-02T10:15:30.123456Z"),
        (r#""time":1714644930"#, "2024-05-02T10:15:30Z"),
        (r#""time":"2024-05-02T10:15:30Z""#, "2024-05-02T10:15:30Z"),
        (r#""time":null,"time_dt":"2024-05-02 10:15:30.123000+00:00""#, "2024-05-02T10:15:30.123Z"),
        (r#""start_time":1714644929000,"time":1714644930123"#, "2024-05-02T10:15:29Z"),
    ] {
        let event = ocsf("").replace(r#""time":1714644930123"#, time);
        assert_eq!(call("ocsf-api-activity", &event).at, at, "{time}");
    }
}

#[test]
fn ocsf_products_that_name_no_service_are_the_api() {
    let api = |product: &str| {
        let event = ocsf(r#","api":{"operation":"o"}"#)
            .replace(r#""name":"P""#, &format!(r#""name":"{product}""#));
        call("ocsf-api-activity", &event).api
    };
    assert_eq!(api("Audit Log"), "Audit Log");
    // Kubernetes' requests are told by their path.
    assert_eq!(api("Amazon EKS"), "");
}

#[test]
fn ocsf_outcomes_come_from_errors_codes_and_status_ids() {
    let api = |response: &str| {
        format!(r#","api":{{"operation":"o","service":{{"name":"s"}},"response":{response}}}"#)
    };
    for (more, outcome) in [
        (api(r#"{"error":"AccessDenied"}"#), "denied"),
        (api(r#"{"error":"NoSuchKey"}"#), "failed"),
        (api(r#"{"error":"","code":200}"#), "served"),
        (own(r#","status_id":2"#), "failed"),
        (format!("{},\"status_id\":2", api(r#"{"code":403}"#)), "denied"),
        (format!("{},\"status_id\":2", api(r#"{"code":500}"#)), "failed"),
        (own(r#","status_id":2,"http_response":{"code":401}"#), "denied"),
        (own(r#","status_id":2,"status_code":"AccessDenied""#), "denied"),
        (own(r#","status_id":99,"status":"Odd""#), "unknown"),
        // Kubernetes' events have a code of HTTP alone, others one of gRPC.
        (format!("{},\"status_id\":null,\"status\":null", api(r#"{"code":201}"#)), "served"),
        (format!("{},\"status_id\":null,\"status\":null", api(r#"{"code":404}"#)), "failed"),
        (format!("{},\"status_id\":null,\"status\":null", api(r#"{"code":2}"#)), "unknown"),
        (own(r#","status_id":0,"status":null,"http_response":{"code":404}"#), "failed"),
        (own(r#","status_id":null,"status":"Failure""#), "failed"),
    ] {
        assert_eq!(call("ocsf-api-activity", &ocsf(&more)).outcome, outcome, "{more}");
    }
}

// What the language has for their sake

/// The first thing that is wrong with a format.
fn refused(toml: &str) -> String {
    Format::from_toml("x", &toml.parse().unwrap()).unwrap_err().0[0].to_string()
}

#[test]
fn a_format_may_give_words_of_its_own() {
    let text = "kind = 'json'\nat = 'at'\napi = { value = 'graph' }\nmethod = { value = 'get' }\n\
        outcome = [{ field = 'error', map = { '*denied' = 'denied', '*' = 'failed', none = '' } }, { value = 'served' }]\n\
        subject = ['who', { value = 'all' }]";
    let format = Format::from_toml("x", &text.parse().unwrap()).unwrap();
    let outcome = |more: &str| {
        let line = format!(r#"{{"at":1545125400{more}}}"#);
        let call = read_as(&format, &line).remove(0).unwrap();
        assert_eq!((call.api.as_str(), call.method.as_str()), ("graph", "get"));
        (call.outcome, call.subject)
    };
    assert_eq!(outcome(""), (own("served"), own("all")));
    assert_eq!(outcome(r#","error":"none","who":"w""#), (own("served"), own("w")));
    assert_eq!(outcome(r#","error":"access denied""#).0, "denied");
    assert_eq!(outcome(r#","error":"other""#).0, "failed");

    let base = "kind = 'json'\nat = 'at'\npath = 'p'\n";
    for (bad, says) in [
        ("outcome = { value = 'ok' }", "`ok` is no outcome"),
        ("api = { value = '' }", "`value` is empty"),
        ("status = { value = '200' }", "unknown key `value`"),
        ("is_call = { value = 'no' }", "`no` is neither true nor false"),
        ("is_call = { field = 'a', map = { '*' = 'yes' } }", "`yes` is neither true nor false"),
    ] {
        let message = refused(&format!("{base}{bad}"));
        assert!(message.contains(says), "{bad}: {message}");
    }
}

#[test]
fn records_that_are_no_calls_are_rejects_without_a_target() {
    let text = "kind = 'json'\nat = 'at'\npath = 'p'\nstatus = 's'\n\
        is_call = { field = 'event', map = { started = 'false', done = 'true', '7' = 'false' } }";
    let format = Format::from_toml("x", &text.parse().unwrap()).unwrap();
    let reason = |more: &str| {
        read_as(&format, &format!(r#"{{"at":1545125400,"p":"/x"{more}}}"#)).remove(0).err()
    };
    assert_eq!(reason(r#","event":"done""#), None);
    assert_eq!(reason(""), None);
    assert_eq!(reason(r#","event":"started","s":"x""#), Some(Reason::NoTarget));
    assert_eq!(reason(r#","event":7.0"#), Some(Reason::NoTarget));
    assert_eq!(reason(r#","event":"paused""#), Some(Reason::BadValue));
    // What is no call needs no time.
    assert_eq!(read_as(&format, r#"{"event":"started"}"#), [Err(Reason::NoTarget)]);
    assert_eq!(read_as(&format, r#"{"event":"done"}"#), [Err(Reason::NoTime)]);
}

#[test]
fn a_status_keeps_its_number_under_a_star() {
    let text = "kind = 'json'\nat = 'at'\npath = 'p'\nstatus = { field = 's', map = { '4*' = 'denied' } }\n\
        outcomes = { '5*' = 'unknown' }";
    let format = Format::from_toml("x", &text.parse().unwrap()).unwrap();
    for (status, number, outcome) in [
        ("404", "404", Outcome::Denied),
        ("503", "503", Outcome::Unknown),
        ("200", "200", Outcome::Served),
    ] {
        let line = format!(r#"{{"at":1545125400,"p":"/x","s":{status}}}"#);
        let call = read_as(&format, &line).remove(0).unwrap();
        assert_eq!((call.status.as_str(), call.outcome), (number, outcome.to_string()));
    }
}

// Across them

#[test]
fn audit_logs_are_not_told_wrong() {
    let all = [
        ("aws-cloudtrail", cloudtrail(USER, "")),
        ("gcp-audit", gcp("", "")),
        ("google-workspace-token", workspace(r#"[{"name":"authorize","parameters":[]}]"#)),
        ("k8s-audit", k8s("ResponseComplete", "")),
        ("ms-graph-activity", own(GRAPH)),
        ("ocsf-api-activity", ocsf("")),
    ];
    for (name, record) in &all {
        // No other built-in makes a call of it.
        for other in Format::BUILT_IN.iter().filter(|other| *other != name) {
            let calls = read(other, record).iter().filter(|read| read.is_ok()).count();
            assert_eq!(calls, 0, "{other} reads {name}");
        }
        // Half and half is neither.
        for (second, another) in all.iter().filter(|(second, _)| second != name) {
            let log = format!("{record}\n{another}\n").repeat(5);
            let told = detected(&log);
            assert!(told.as_ref().is_err() || told == Ok(*name) || told == Ok(*second), "{told:?}");
        }
        let foreign = r#"{"time":"2018-12-18T09:30:00Z","path":"/x"}"#;
        // To `json` those with a time are records without a target, which must not decide.
        let log = format!("{record}\n").repeat(9) + foreign + "\n";
        assert_eq!(detected(&log), Ok(*name));
    }
}

/// Shippers wrap records, and what others have wrapped.
#[test]
fn audit_logs_are_read_in_the_wrappings_they_come_in() {
    let text = |record: &str| serde_json::to_string(&format!("{record}\n")).unwrap();
    let done = k8s("ResponseComplete", r#","responseStatus":{"metadata":{},"code":200}"#);
    let trail = cloudtrail(USER, "");
    let cloud_watch = |record: &str| {
        format!(
            r#"{{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","subscriptionFilters":["f"],"logEvents":[{{"id":"3","timestamp":1714644999999,"message":{}}}]}}"#,
            text(record)
        )
    };
    let splunk = |record: &str| {
        format!(
            r#"{{"preview":false,"offset":0,"result":{{"_time":"2024-05-02T10:15:59Z","host":"h","_raw":{}}}}}"#,
            text(record)
        )
    };
    let collector = |record: &str| {
        format!(r#"{{"time":1714644999,"host":"h","sourcetype":"_json","event":{record}}}"#)
    };
    let hit =
        |record: &str| format!(r#"{{"_index":"logs","_id":"x","_score":1,"_source":{record}}}"#);
    let in_string = |record: &str| {
        hit(&format!(r#"{{"@timestamp":"2024-05-02T10:20:00Z","message":{}}}"#, text(record)))
    };
    let bridge = format!(
        r#"{{"version":"0","id":"e","detail-type":"AWS API Call via CloudTrail","source":"aws.s3","account":"1","time":"2024-05-02T10:15:40Z","region":"r","resources":[],"detail":{trail}}}"#
    );
    let azure = format!(
        r#"{{"records":[{{"operationName":"Microsoft.ContainerService/managedClusters/diagnosticLogs/Read","category":"kube-audit","time":"2024-05-02T10:15:59Z","properties":{{"log":{},"stream":"stdout","pod":"kube-apiserver-1"}}}}]}}"#,
        text(&done)
    );
    let container =
        format!(r#"{{"log":{},"stream":"stdout","time":"2024-05-02T10:15:59Z"}}"#, text(&done));
    let exported = format!("2024-05-02T10:15:59.000Z {trail}\n");
    let kubelet = format!("2024-05-02T10:15:59.000000001Z stdout F {done}\n");
    let original = format!(
        r#"{{"@timestamp":"2024-05-02T10:20:00Z","event":{{"action":"GetObject","outcome":"success","original":{}}},"source":{{"ip":"1.1.1.1"}}}}"#,
        text(&trail)
    );
    let row = gcp("", "")
        .replace("protoPayload", "protopayload_auditlog")
        .replace("30.123456789Z", "30.123456789 UTC");
    let twice = cloud_watch(&trail).repeat(2);
    for (name, log, call, count) in [
        ("aws-cloudtrail", cloud_watch(&trail), cloudtrail_call(), 1),
        // A stream of them has no line ends.
        ("aws-cloudtrail", twice, cloudtrail_call(), 2),
        ("aws-cloudtrail", exported, cloudtrail_call(), 1),
        ("aws-cloudtrail", original, cloudtrail_call(), 1),
        ("k8s-audit", kubelet, k8s_call(), 1),
        ("gcp-audit", row, gcp_call(), 1),
        ("aws-cloudtrail", splunk(&trail), cloudtrail_call(), 1),
        ("aws-cloudtrail", collector(&trail), cloudtrail_call(), 1),
        ("aws-cloudtrail", hit(&trail), cloudtrail_call(), 1),
        ("aws-cloudtrail", in_string(&trail), cloudtrail_call(), 1),
        ("aws-cloudtrail", bridge, cloudtrail_call(), 1),
        ("k8s-audit", cloud_watch(&done), k8s_call(), 1),
        ("k8s-audit", splunk(&done), k8s_call(), 1),
        ("k8s-audit", collector(&done), k8s_call(), 1),
        ("k8s-audit", in_string(&done), k8s_call(), 1),
        ("k8s-audit", azure, k8s_call(), 1),
        ("k8s-audit", container, k8s_call(), 1),
        ("gcp-audit", hit(&gcp("", "")), gcp_call(), 1),
        (
            "gcp-audit",
            collector(&format!(r#"{{"data":{},"attributes":{{}}}}"#, gcp("", ""))),
            gcp_call(),
            1,
        ),
        ("ocsf-api-activity", splunk(&ocsf("")), ocsf_call(), 1),
    ] {
        assert_eq!(read(name, &log), vec![Ok(call); count], "{log}");
        assert_eq!(detected(&log), Ok(name), "{log}");
    }
}

/// Trails write a file where nothing happened.
#[test]
fn a_document_without_records_is_one_of_its_format() {
    let formats: Vec<Format> = Format::BUILT_IN.into_iter().filter_map(Format::built_in).collect();
    let formats: Vec<&Format> = formats.iter().collect();
    let told = |log: &str| detect(&formats, log.as_bytes()).map(|index| formats[index].name());
    assert_eq!(told("{\"Records\":[]}"), Ok("aws-cloudtrail"));
    assert_eq!(told(" {\"Records\" : [ ]}\n"), Ok("aws-cloudtrail"));
    // What is only the beginning of a document tells nothing.
    for other in [
        "{\"Records\":[],\"x\":",
        "{}",
        "{\"Recs\":[]}",
        "[1]",
        "{\"Records\":[{\"a\":1}]}",
        "Records",
    ] {
        assert!(told(other).is_err(), "{other}: {:?}", told(other));
    }
}
