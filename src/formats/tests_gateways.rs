//! What the built-in formats of gateways and load balancers read, after the documentation of those who write them, and
//! what the language has for their sake.

use super::*;
use crate::call::Sourced;

/// What a log's lines read as: the fields of each call that are there, or the reason why it is none.
fn reads_as(format: &Format, log: &str) -> Vec<String> {
    let framed = crate::input::Input::framed_head(log.as_bytes(), &format.framing());
    let mut scratch = Scratch::default();
    format.begin(None, &mut scratch);
    let mut all = Vec::new();
    for line in framed.split(|&b| b == b'\n') {
        let start = line.iter().position(|&b| b != 0).unwrap_or(line.len());
        let end = line.iter().rposition(|&b| b != 0).map_or(start, |last| last + 1);
        let line = &line[start..end];
        if line.trim_ascii().is_empty() || format.directive(line, &mut scratch) {
            continue;
        }
        all.push(match format.parse(line, &mut scratch) {
            Ok(call) => shown(&call),
            Err(reason) => format!("{reason:?}"),
        });
    }
    all
}

/// A call's fields, those that are absent left out. The placeholder of a route is in `<>`.
fn shown(call: &Call<'_>) -> String {
    let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let sourced = |sourced: &Sourced<'_>| {
        text(&sourced.before).or_else(|| Some(format!("<{}>", sourced.route?)))
    };
    let all = [
        ("at", Some(call.at.to_string())),
        ("credential", text(&call.credential)),
        ("method", text(&call.method)),
        ("path", text(&call.path)),
        ("host", text(&call.host)),
        ("api", text(&call.api)),
        ("operation", text(&call.operation)),
        ("outcome", Some(call.outcome.to_string())),
        ("status", number(call.status.map(u64::from))),
        ("bytes", number(call.bytes)),
        ("latency_us", number(call.latency_us)),
        ("subject", sourced(&call.subject)),
        ("actor", sourced(&call.actor)),
        ("remote_addr", text(&call.remote_addr)),
        ("user_agent", text(&call.user_agent)),
        ("request_id", text(&call.request_id)),
    ];
    let present = all.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
    present.collect::<Vec<_>>().join("|")
}

/// The reads of a log in a built-in format, which must be the one that is detected.
#[track_caller]
fn reads(name: &str, log: &str) -> Vec<String> {
    assert_eq!(detected(log), name);
    read(name, log)
}

fn read(name: &str, log: &str) -> Vec<String> {
    reads_as(&Format::built_in(name).unwrap(), log)
}

/// The format that is detected among all built-in ones, or those that fit equally.
fn detected(log: &str) -> String {
    let formats: Vec<Format> =
        Format::BUILT_IN.iter().map(|name| Format::built_in(name).unwrap()).collect();
    let formats: Vec<&Format> = formats.iter().collect();
    match detect(&formats, log.as_bytes()) {
        Ok(idx) => formats[idx].name().to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Whether a field of the first read has this value.
#[track_caller]
fn has(name: &str, log: &str, field: &str) {
    let all = read(name, log);
    assert!(all[0].split('|').any(|found| found == field), "{field} in {all:#?}");
}

/// Whether a field of the first read is absent.
#[track_caller]
fn lacks(name: &str, log: &str, field: &str) {
    let all = read(name, log);
    let begin = format!("{field}=");
    assert!(!all[0].split('|').any(|found| found.starts_with(&begin)), "{field} in {all:#?}");
}

// AWS

const ALB: &str = r#"h2 2024-05-02T10:15:23.448123Z app/api-front/50dc6c495c0c9188 203.0.113.9:51312 10.0.3.17:8080 0.001 0.046 0.002 201 201 512 1830 "POST https://api.example.com:443/v1/messages?user=7&api_key=k-1 HTTP/2.0" "reelhouse/3.1 (linux)" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/api/73e2d6bc24d8a067 "Root=1-66336a5b-36d228ad5d99923122bbe354" "api.example.com" "arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012" 3 2024-05-02T10:15:23.398000Z "waf,forward" "-" "-" "10.0.3.17:8080" "201" "Acceptable" "NonCompliantHeader" TID_7d1c4b0e"#;

#[test]
fn alb() {
    assert_eq!(
        reads("aws-alb", ALB),
        [
            "at=2024-05-02T10:15:23.398Z|credential=k-1|method=POST|path=/v1/messages?user=7&api_key=k-1|\
             host=api.example.com:443|outcome=served|status=201|bytes=1830|latency_us=49000|subject=<user>|\
             remote_addr=203.0.113.9|user_agent=reelhouse/3.1 (linux)|\
             request_id=Root=1-66336a5b-36d228ad5d99923122bbe354"
        ]
    );
}

#[test]
fn alb_with_more_fields_and_with_fewer() {
    has("aws-alb", &format!("{ALB} \"-\" \"-\" \"-\" 10.0.0.9"), "at=2024-05-02T10:15:23.398Z");
    // Before 2018 only the time of the response was there.
    for cut in [" 3 2024-05-02", " \"api.example.com\" \"arn:aws:acm"] {
        let old = &ALB[..ALB.find(cut).unwrap()];
        assert_eq!(detected(old), "aws-alb");
        has("aws-alb", old, "at=2024-05-02T10:15:23.399123Z");
    }
}

#[test]
fn alb_without_target() {
    let line = ALB
        .replace("10.0.3.17:8080 0.001 0.046 0.002 201 201", "- -1 -1 -1 460 -")
        .replace("\"reelhouse/3.1 (linux)\"", "\"-\"");
    has("aws-alb", &line, "outcome=failed");
    lacks("aws-alb", &line, "latency_us");
    lacks("aws-alb", &line, "user_agent");
    has(
        "aws-alb",
        &line.replace("203.0.113.9:51312", "[2001:db8::9]:51312"),
        "remote_addr=2001:db8::9",
    );
}

#[test]
fn alb_with_quotes_and_blanks_in_what_clients_send() {
    let line = ALB.replace("user=7", "q=\"a b\" c").replace("3.1 (linux)", "\"3.1\" x");
    has("aws-alb", &line, "path=/v1/messages?q=\"a b\" c&api_key=k-1");
    has("aws-alb", &line, "user_agent=reelhouse/\"3.1\" x");
    let bare = ALB.replace(
        "POST https://api.example.com:443/v1/messages?user=7&api_key=k-1 HTTP/2.0",
        "- http://api-front-1.eu-central-1.elb.amazonaws.com:80- -",
    );
    assert_eq!(read("aws-alb", &bare), ["NoTarget"]);
}

const ELB: &str = r#"2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000086 0.001048 0.001337 200 200 0 57 "GET https://www.example.com:443/users/7 HTTP/1.1" "curl/7.38.0" DHE-RSA-AES128-SHA TLSv1.2"#;

#[test]
fn elb() {
    assert_eq!(
        reads("aws-elb", ELB),
        [
            "at=2015-05-13T23:39:43.945958Z|method=GET|path=/users/7|host=www.example.com:443|outcome=served|\
             status=200|bytes=57|latency_us=2471|subject=<user>|remote_addr=192.168.131.39|user_agent=curl/7.38.0"
        ]
    );
    let old = ELB.strip_suffix(r#" "curl/7.38.0" DHE-RSA-AES128-SHA TLSv1.2"#).unwrap();
    assert_eq!(detected(old), "aws-elb");
    lacks("aws-elb", old, "user_agent");
    let refused = ELB.replace("10.0.0.1:80 0.000086 0.001048 0.001337 200 200", "- -1 -1 -1 503 0");
    has("aws-elb", &refused, "outcome=failed");
    lacks("aws-elb", &refused, "latency_us");
    let tcp = r#"2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.001069 0.000028 0.000041 - - 82 305 "- - - " "-" - -"#;
    assert_eq!(read("aws-elb", tcp), ["NoTarget"]);
    assert_eq!(read("aws-elb", &tcp.replace("82 305", "-1 -1")), ["NoTarget"]);
}

const S3: &str = r#"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be exports [06/Feb/2019:00:00:38 +0000] 192.0.2.3 arn:aws:iam::123456789012:user/reelhouse 3E57427F3EXAMPLE REST.GET.OBJECT people/7.json "GET /people/7.json?versionId=x HTTP/1.1" 200 - 113 113 7 5 "-" "aws-sdk-java/2.20" - s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader exports.s3.us-west-1.amazonaws.com TLSv1.2 - -"#;

#[test]
fn s3() {
    assert_eq!(
        reads("aws-s3", S3),
        ["at=2019-02-06T00:00:38Z|credential=arn:aws:iam::123456789012:user/reelhouse|method=GET|\
             path=/people/7.json?versionId=x|host=exports.s3.us-west-1.amazonaws.com|api=exports|\
             operation=REST.GET.OBJECT|outcome=served|status=200|bytes=113|latency_us=7000|subject=<user>|\
             remote_addr=192.0.2.3|user_agent=aws-sdk-java/2.20|request_id=3E57427F3EXAMPLE"]
    );
}

#[test]
fn s3_of_all_years_and_without_request() {
    for end in [" - s9lz", " s9lz", " TLSv1.2", " SigV4"] {
        let line = &S3[..S3.find(end).unwrap()];
        assert_eq!(detected(line), "aws-s3", "{line}");
        has("aws-s3", line, "user_agent=aws-sdk-java/2.20");
    }
    has("aws-s3", &format!("{S3} us-west-1 new"), "host=exports.s3.us-west-1.amazonaws.com");
    let anonymous = S3
        .replace("arn:aws:iam::123456789012:user/reelhouse", "-")
        .replace("200 -", "403 AccessDenied");
    has("aws-s3", &anonymous, "outcome=denied");
    lacks("aws-s3", &anonymous, "credential");
    let expiry = r#"79a59df9 exports [06/Feb/2019:00:00:38 +0000] - AmazonS3 7B4A0FABBEXAMPLE S3.EXPIRE.OBJECT people/7.json "-" - - - 113 - - "-" "-" - - - - - - - - -"#;
    for line in [expiry, &expiry.replace("7.json \"-\"", "7.json -")] {
        assert_eq!(read("aws-s3", line), ["NoTarget"], "{line}");
    }
    // One of many that a request deleted.
    let batch = "79a59df9 exports [06/Feb/2019:00:00:38 +0000] 192.0.2.3 79a5 8CD7A4A71E2E5C9E BATCH.DELETE.OBJECT people/7.json - 204 - - 113 - - - - - s9lz= SigV4 ECDHE AuthHeader exports.s3.amazonaws.com TLSv1.2";
    assert_eq!(
        reads("aws-s3", batch),
        ["at=2019-02-06T00:00:38Z|credential=79a5|host=exports.s3.amazonaws.com|api=exports|\
             operation=BATCH.DELETE.OBJECT|outcome=served|status=204|subject=<user>|remote_addr=192.0.2.3|\
             request_id=8CD7A4A71E2E5C9E"]
    );
    let region = format!("{S3} \"us-east-1\"");
    assert_eq!(reads("aws-s3", &region), reads("aws-s3", S3));
    let anonymous = S3.replace("arn:aws:iam::123456789012:user/reelhouse", "Anonymous");
    lacks("aws-s3", &anonymous, "credential");
    let odd =
        S3.replace("aws-sdk-java/2.20", "\"x\" y").replace("\"-\" \"", "\"http://a/\"b\"\" \"");
    has("aws-s3", &odd, "user_agent=\"x\" y");
}

const CLOUDFRONT: &str = "2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/v1/users/7\t200\t-\tMozilla/5.0%20(Windows)\tapi_key=k-1&x=y\t-\tHit\tSOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==\tapi.example.com\thttps\t23\t0.250\t-\tTLSv1.2\tECDHE-RSA-AES128-GCM-SHA256\tHit\tHTTP/2.0\t-\t-\t11040\t0.001\tHit\ttext/html\t78\t-\t-";
const CLOUDFRONT_FIELDS: &str = "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len sc-range-start sc-range-end\n";

#[test]
fn cloudfront_with_its_columns_named_or_not() {
    let call = "at=2019-12-04T21:02:30.75Z|credential=k-1|method=GET|path=/v1/users/7?api_key=k-1&x=y|host=api.example.com|\
        outcome=served|status=200|bytes=392|latency_us=250000|subject=<user>|remote_addr=192.0.2.100|\
        user_agent=Mozilla/5.0%20(Windows)|request_id=SOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==";
    assert_eq!(reads("aws-cloudfront", &format!("{CLOUDFRONT_FIELDS}{CLOUDFRONT}\n")), [call]);
    assert_eq!(reads("aws-cloudfront", CLOUDFRONT), [call]);
    let old = CLOUDFRONT.split('\t').take(19).collect::<Vec<_>>().join("\t");
    assert_eq!(reads("aws-cloudfront", &old), [call]);
    let left = CLOUDFRONT.replace("\t200\t", "\t000\t").replace("\t0.250\t", "\t-\t");
    has("aws-cloudfront", &left, "outcome=unknown");
    has("aws-cloudfront", &left, "at=2019-12-04T21:02:31Z");
}

#[test]
fn cloudfront_as_json_and_in_real_time() {
    let call = "at=2019-12-04T21:02:30.75Z|credential=k-1|method=GET|path=/v1/users/7?api_key=k-1&x=y|host=api.example.com|\
        outcome=served|status=200|bytes=392|latency_us=250000|subject=<user>|remote_addr=192.0.2.100|\
        user_agent=Mozilla/5.0%20(Windows)|request_id=SOX4xwn4==";
    let json = r#"{"date":"2019-12-04","time":"21:02:31","x-edge-location":"LAX1","sc-bytes":"392","c-ip":"192.0.2.100","cs-method":"GET","cs(Host)":"d111111abcdef8.cloudfront.net","cs-uri-stem":"/v1/users/7","sc-status":"200","cs(Referer)":"-","cs(User-Agent)":"Mozilla/5.0%20(Windows)","cs-uri-query":"api_key=k-1&x=y","cs(Cookie)":"-","x-edge-result-type":"Hit","x-edge-request-id":"SOX4xwn4==","x-host-header":"api.example.com","cs-protocol":"https","cs-bytes":"23","time-taken":"0.250"}"#;
    assert_eq!(reads("aws-cloudfront", json), [call]);
    let fine = json.replace("\"date\":\"2019-12-04\",", "\"timestamp(ms)\":\"1575493351123\",");
    has("aws-cloudfront", &fine, "at=2019-12-04T21:02:30.873Z");
    let half = json.replace("\"date\":\"2019-12-04\",", "");
    assert_eq!(read("aws-cloudfront", &half), ["NoTime"]);
    let real = "1575493351.000\t192.0.2.100\t0.249\t200\t392\tGET\thttps\td111111abcdef8.cloudfront.net\t/v1/users/7?api_key=k-1&x=y\t23\tLAX1\tSOX4xwn4==\tapi.example.com\t0.250\tHTTP/2.0\tIPv4\tMozilla/5.0%20(Windows)\t-\t-\tapi_key=k-1&x=y\tHit";
    assert_eq!(detected(real), "aws-cloudfront");
    assert_eq!(reads("aws-cloudfront", real), [call]);
}

#[test]
fn w3c_logs_of_others_are_not_cloudfronts() {
    let iis = "#Fields: date time cs-method cs-uri-stem cs-uri-query sc-status\n2019-12-04 21:02:31 GET /x - 200\n";
    assert_eq!(read("aws-cloudfront", iis), ["Malformed"]);
}

#[test]
fn apigateway_as_documented() {
    let rest = r#"{ "requestId":"5ba4ecf4-7f34-4d3c-a3b2-0f4e2f8d6c11", "extendedRequestId":"JKJaXmPLvHcESHA=", "ip": "203.0.113.9", "caller":"AIDAEXAMPLE", "user":"AIDAEXAMPLE", "requestTime":"02/May/2024:10:15:23 +0000", "httpMethod":"GET", "resourcePath":"/users/{user}", "status":"200", "protocol":"HTTP/1.1", "responseLength":"830" }"#;
    assert_eq!(
        reads("aws-apigateway", rest),
        [
            "at=2024-05-02T10:15:23Z|credential=AIDAEXAMPLE|method=GET|path=/users/{user}|outcome=served|status=200|\
             bytes=830|subject=<user>|remote_addr=203.0.113.9|request_id=5ba4ecf4-7f34-4d3c-a3b2-0f4e2f8d6c11"
        ]
    );
    let http = r#"{"requestId":"JKJaXmPLvHcESHA=","ip":"203.0.113.9","requestTime":"02/May/2024:10:15:23 +0000","httpMethod":"GET","routeKey":"GET /pets","status":"403","protocol":"HTTP/1.1","responseLength":"-"}"#;
    assert_eq!(detected(http), "aws-apigateway");
    has("aws-apigateway", http, "path=/pets");
    has("aws-apigateway", http, "outcome=denied");
    lacks("aws-apigateway", http, "bytes");
    // More variables, as logs of one's own have them.
    let more = http.replace(
        "\"ip\"",
        "\"apiKeyId\":\"k-1\",\"path\":\"/prod/pets?x=y\",\"requestTimeEpoch\":\"1714644923456\",\"responseLatency\":\"12\",\"message\":\"-\",\"ip\"",
    );
    for field in
        ["at=2024-05-02T10:15:23.456Z", "credential=k-1", "path=/prod/pets?x=y", "latency_us=12000"]
    {
        has("aws-apigateway", &more, field);
    }
    has(
        "aws-apigateway",
        &more.replace("\"message\":\"-\"", "\"message\":\"Forbidden\""),
        "credential=k-1",
    );
}

#[test]
fn apigateway_out_of_cloudwatch() {
    let log = r#"{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"api","logStream":"s","logEvents":[{"id":"1","timestamp":1714644923456,"message":"{\"requestId\":\"a\",\"requestTime\":\"02/May/2024:10:15:23 +0000\",\"httpMethod\":\"GET\",\"resourcePath\":\"/x\",\"status\":\"200\"}"},{"id":"2","timestamp":1714644923457,"message":"{\"requestId\":\"b\",\"requestTime\":\"02/May/2024:10:15:24 +0000\",\"httpMethod\":\"GET\",\"resourcePath\":\"/y\",\"status\":\"200\"}"}]}"#;
    let calls = reads("aws-apigateway", log);
    assert_eq!(calls.len(), 2);
    assert!(calls[1].contains("path=/y"), "{calls:?}");
    let record = r#"{"requestId":"a","requestTime":"02/May/2024:10:15:23 +0000","httpMethod":"GET","routeKey":"GET /x","status":"200"}"#;
    let exported =
        format!("2024-05-02T10:15:23.456Z {record}\n2024-05-02T10:15:24+00:00 0a1b2c {record}\n");
    let calls = reads("aws-apigateway", &exported);
    assert_eq!(calls.len(), 2);
    assert!(calls[1].contains("path=/x"), "{calls:?}");
}

#[test]
fn apigateway_clf() {
    let rest = r#"203.0.113.9 AIDAEXAMPLE AIDAEXAMPLE [02/May/2024:10:15:23 +0000]"GET /users/{user} HTTP/1.1" 200 830 5ba4ecf4-7f34-4d3c-a3b2-0f4e2f8d6c11 JKJaXmPLvHcESHA="#;
    assert_eq!(
        reads("aws-apigateway-clf", rest),
        [
            "at=2024-05-02T10:15:23Z|credential=AIDAEXAMPLE|method=GET|path=/users/{user}|outcome=served|status=200|\
             bytes=830|subject=<user>|remote_addr=203.0.113.9|request_id=5ba4ecf4-7f34-4d3c-a3b2-0f4e2f8d6c11"
        ]
    );
    let http = r#"203.0.113.9 - - [02/May/2024:10:15:23 +0000] "GET GET /pets HTTP/1.1" 404 - JKJaXmPLvHcESHA="#;
    assert_eq!(detected(http), "aws-apigateway-clf");
    has("aws-apigateway-clf", http, "path=/pets");
    lacks("aws-apigateway-clf", http, "credential");
    // What other servers write behind a common line is no id.
    let common =
        r#"203.0.113.9 - - [02/May/2024:10:15:23 +0000] "GET /pets HTTP/1.1" 404 12 123456789012"#;
    assert_eq!(read("aws-apigateway-clf", common), ["Malformed"]);
}

// Azure, Google

const APIM: &str = r#"{"Level":4,"isRequestSuccess":true,"time":"2020-10-14T17:03:12.4170000Z","operationName":"Microsoft.ApiManagement/GatewayLogs","category":"GatewayLogs","durationMs":152,"callerIpAddress":"203.0.113.9","correlationId":"3f06647e-0000-4000-8000-530eb9f15261","location":"East US","properties":{"method":"GET","url":"https://apim-hello.azure-api.net/conference/speakers/7?x=y","backendResponseCode":200,"responseCode":200,"responseSize":41583,"cache":"none","backendTime":87,"requestSize":526,"apiId":"demo-conference-api","operationId":"GetSpeakers","apimSubscriptionId":"sub-reelhouse","clientTime":65,"clientProtocol":"HTTP/1.1","requestHeaders":{"User-Agent":"reelhouse/3.1"}},"resourceId":"/SUBSCRIPTIONS/X"}"#;
const APIM_CALL: &str = "at=2020-10-14T17:03:12.417Z|credential=sub-reelhouse|method=GET|\
    path=https://apim-hello.azure-api.net/conference/speakers/7?x=y|outcome=served|status=200|bytes=41583|\
    latency_us=152000|subject=<user>|remote_addr=203.0.113.9|user_agent=reelhouse/3.1|\
    request_id=3f06647e-0000-4000-8000-530eb9f15261";

#[test]
fn apim() {
    assert_eq!(reads("azure-apim", APIM), [APIM_CALL]);
    assert_eq!(reads("azure-apim", &APIM.replace("4170000Z", "417")), [APIM_CALL]);
    let records = format!("{{\"records\":[{APIM},\n{APIM}]}}");
    assert_eq!(reads("azure-apim", &records), [APIM_CALL; 2]);
    // Of other categories of the same stream nothing is a call.
    let other = r#"{"time":"2020-10-14T17:03:12Z","category":"AuditLogs","properties":{"requestUri":"/x"}}"#;
    assert_eq!(read("azure-apim", other), ["NoTarget"]);
    // Older workspaces have all resources' logs in one table, and name the types in its columns.
    let shared = r#"{"TimeGenerated":"2020-10-14T17:03:12.417Z","Category":"GatewayLogs","OperationName":"Microsoft.ApiManagement/GatewayLogs","DurationMs":9,"CallerIPAddress":"203.0.113.9","isRequestSuccess_b":false,"method_s":"GET","url_s":"https://a/x","responseCode_d":401,"responseSize_d":3,"apiId_s":"a","apimSubscriptionId_s":"sub-1"}"#;
    assert_eq!(
        reads("azure-apim", shared),
        [
            "at=2020-10-14T17:03:12.417Z|credential=sub-1|method=GET|path=https://a/x|outcome=denied|status=401|bytes=3|\
             latency_us=9000|subject=<user>|remote_addr=203.0.113.9"
        ]
    );
    // Of a request that fits no API the row has neither API nor subscription.
    let strange = r#"{"TimeGenerated":"2020-10-14T17:03:12.417Z","IsRequestSuccess":false,"Method":"GET","Url":"https://a/x","ResponseCode":404}"#;
    has("azure-apim", strange, "outcome=failed");
    let row = r#"{"TimeGenerated":"2020-10-14T17:03:12.417Z","Method":"GET","Url":"https://a/x","ResponseCode":401,"ResponseSize":3,"TotalTime":9,"ApiId":"a","ApimSubscriptionId":"sub-1","CallerIpAddress":"203.0.113.9"}"#;
    assert_eq!(
        reads("azure-apim", row),
        [
            "at=2020-10-14T17:03:12.417Z|credential=sub-1|method=GET|path=https://a/x|outcome=denied|status=401|bytes=3|\
             latency_us=9000|subject=<user>|remote_addr=203.0.113.9"
        ]
    );
}

const GCP: &str = r#"{"httpRequest":{"latency":"0.104321s","remoteIp":"203.0.113.9","requestMethod":"GET","requestSize":"29","requestUrl":"https://api.example.com/v1/users/7?key=k-1","responseSize":"780","status":200,"userAgent":"reelhouse/3.1"},"insertId":"h91ql8g1lpdqh2","jsonPayload":{"@type":"type.googleapis.com/google.cloud.loadbalancing.type.LoadBalancerLogEntry","statusDetails":"response_sent_by_backend"},"logName":"projects/p/logs/requests","receiveTimestamp":"2024-05-02T10:15:24.360361140Z","resource":{"labels":{"url_map_name":"m"},"type":"http_load_balancer"},"severity":"INFO","timestamp":"2024-05-02T10:15:23.558637Z"}"#;

#[test]
fn gcp_load_balancer() {
    // The key that Cloud Endpoints found goes before the query's.
    let found = GCP.replace("\"jsonPayload\":{", "\"jsonPayload\":{\"api_key\":\"k-2\",");
    has("gcp-lb", &found, "credential=k-2");
    let call = "at=2024-05-02T10:15:23.558637Z|credential=k-1|method=GET|path=https://api.example.com/v1/users/7?key=k-1|\
        outcome=served|status=200|bytes=780|latency_us=104321|subject=<user>|remote_addr=203.0.113.9|\
        user_agent=reelhouse/3.1|request_id=h91ql8g1lpdqh2";
    assert_eq!(reads("gcp-lb", GCP), [call]);
    assert_eq!(reads("gcp-lb", &format!("[\n{GCP},\n{GCP}\n]")), [call; 2]);
    assert_eq!(reads("gcp-lb", &format!("{{\"entries\":[{GCP}]}}")), [call]);
    has(
        "gcp-lb",
        &GCP.replace("\"203.0.113.9\"", "\"203.0.113.9:60102\""),
        "remote_addr=203.0.113.9",
    );
    lacks("gcp-lb", &GCP.replace("\"latency\":\"0.104321s\",", ""), "latency_us");
    assert_eq!(read("gcp-lb", &GCP.replace("0.104321s", "0.104321")), ["BadValue"]);
}

// Kong, Envoy, Istio

#[test]
fn kong() {
    let line = r#"{"response":{"size":9982,"headers":{"via":"1.1 kong/3.8.0.0"},"status":200},"client_ip":"203.0.113.9","request":{"id":"2f6946328ffc4946b8c9120704a4a155","headers":{"user-agent":"HTTPie/3.2.3","host":"api.example.com"},"uri":"/orders/7?x=y","size":139,"method":"GET","querystring":{"x":"y"},"url":"http://api.example.com:8000/orders/7?x=y"},"upstream_uri":"/","consumer":{"id":"c0","username":"reelhouse"},"authenticated_entity":{"id":"e0"},"started_at":1714644923456,"latencies":{"kong":1,"proxy":171,"request":173},"service":{"name":"orders"}}"#;
    let call = "at=2024-05-02T10:15:23.456Z|credential=reelhouse|method=GET|path=/orders/7?x=y|host=api.example.com|\
        outcome=served|status=200|bytes=9982|latency_us=173000|subject=<user>|remote_addr=203.0.113.9|\
        user_agent=HTTPie/3.2.3|request_id=2f6946328ffc4946b8c9120704a4a155";
    assert_eq!(reads("kong", line), [call]);
    assert_eq!(reads("kong", &format!("[{line},{line}]")), [call; 2]);
    let anonymous = line.replace(
        r#""consumer":{"id":"c0","username":"reelhouse"},"authenticated_entity":{"id":"e0"},"#,
        "",
    );
    lacks("kong", &anonymous, "credential");
    has("kong", &line.replace(r#","username":"reelhouse""#, ""), "credential=c0");
}

const ENVOY: &str = r#"[2024-05-02T10:15:23.310Z] "POST /api/v1/locations?api_key=k-1 HTTP/2" 204 - 154 12 226 100 "203.0.113.9, 10.0.35.28" "nsq2http" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "tcp://10.0.2.1:80""#;
const ENVOY_CALL: &str = "at=2024-05-02T10:15:23.31Z|credential=k-1|method=POST|path=/api/v1/locations?api_key=k-1|host=locations|\
    outcome=served|status=204|bytes=12|latency_us=226000|subject=<user>|remote_addr=203.0.113.9|user_agent=nsq2http|\
    request_id=cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2";

#[test]
fn envoy() {
    assert_eq!(reads("envoy", ENVOY), [ENVOY_CALL]);
    for before in ["2024-05-02T10:15:23.5+00:00 stdout F ", "May  2 10:15:23 edge envoy[77]: "] {
        assert_eq!(reads("envoy", &format!("{before}{ENVOY}")), [ENVOY_CALL]);
    }
    let odd = ENVOY
        .replace(" 204 - 154 12 226 100 ", " 0 DC,UF 0 0 226 - ")
        .replace("203.0.113.9, 10.0.35.28", "-");
    has("envoy", &odd, "outcome=unknown");
    lacks("envoy", &odd, "remote_addr");
    let tcp = ENVOY.replace("POST /api/v1/locations?api_key=k-1 HTTP/2", "- - -");
    assert_eq!(read("envoy", &tcp), ["NoTarget"]);
}

#[test]
fn envoy_gateways_json() {
    let line = r#"{":authority":"api.example.com","bytes_received":0,"bytes_sent":1258,"downstream_remote_address":"203.0.113.9:59292","duration":11,"method":"GET","protocol":"HTTP/2","response_code":200,"response_code_details":"via_upstream","response_flags":"-","start_time":"2024-05-02T10:15:23.479Z","upstream_cluster":null,"user-agent":"x/1","x-envoy-origin-path":"/users/7","x-forwarded-for":"10.0.0.12","x-request-id":"3bbc0252"}"#;
    let call = "at=2024-05-02T10:15:23.479Z|method=GET|path=/users/7|host=api.example.com|outcome=served|status=200|bytes=1258|\
        latency_us=11000|subject=<user>|remote_addr=203.0.113.9|user_agent=x/1|request_id=3bbc0252";
    assert_eq!(reads("envoy", line), [call]);
    let both = format!("2024-05-02T10:15:23.5Z stdout F {line}\n{ENVOY}\n");
    assert_eq!(reads("envoy", &both), [call, ENVOY_CALL]);
}

const ISTIO: &str = r#"[2024-05-02T10:15:23.279Z] "GET /details/0 HTTP/1.1" 200 - via_upstream - "-" 0 178 7 6 "203.0.113.9" "Go-http-client/1.1" "e7d5b6ce-5f7f-9731-8471-ca5bcd650a72" "details:9080" "10.244.0.32:9080" outbound|9080||details.bookinfo.svc.cluster.local 10.244.0.44:58916 10.96.185.196:9080 10.244.0.37:52134 - default"#;
const ISTIO_CALL: &str = "at=2024-05-02T10:15:23.279Z|method=GET|path=/details/0|host=details:9080|outcome=served|status=200|bytes=178|\
    latency_us=7000|subject=<user>|remote_addr=10.244.0.37|user_agent=Go-http-client/1.1|\
    request_id=e7d5b6ce-5f7f-9731-8471-ca5bcd650a72";

#[test]
fn istio() {
    assert_eq!(reads("istio", ISTIO), [ISTIO_CALL]);
    assert_eq!(reads("istio", &format!("2024-05-02T10:15:23.682034460Z {ISTIO}")), [ISTIO_CALL]);
    // As it was up to 1.6 and 1.4.
    for between in ["- \"-\" \"-\" 0 178", "- \"-\" 0 178"] {
        let old = ISTIO.replace("- via_upstream - \"-\" 0 178", between);
        assert_eq!(reads("istio", &old), [ISTIO_CALL]);
    }
    let failed = ISTIO.replace(
        "200 - via_upstream - \"-\"",
        "503 UF,URX upstream_reset_before_response_started{connection_failure} - \"delayed_connect_error:_111\"",
    );
    has("istio", &failed, "outcome=failed");
    let tcp =
        ISTIO.replace("GET /details/0 HTTP/1.1", "- - -").replace(" 200 - via_upstream", " 0 - -");
    assert_eq!(read("istio", &tcp), ["NoTarget"]);
}

#[test]
fn istios_json() {
    let line = r#"{"authority":"details:9080","bytes_received":0,"bytes_sent":178,"downstream_local_address":"10.96.185.196:9080","downstream_remote_address":"10.244.0.37:52134","duration":7,"method":"GET","path":"/details/0","protocol":"HTTP/1.1","request_id":"e7d5b6ce-5f7f-9731-8471-ca5bcd650a72","requested_server_name":null,"response_code":200,"response_code_details":"via_upstream","response_flags":"-","route_name":"default","start_time":"2024-05-02T10:15:23.279Z","upstream_cluster":"outbound|9080||details","upstream_host":"10.244.0.32:9080","user_agent":"Go-http-client/1.1","x_forwarded_for":null}"#;
    assert_eq!(reads("istio", line), [ISTIO_CALL]);
}

// All of them

#[test]
fn lines_of_two_formats_are_told_by_the_more_and_no_line_reads_as_anothers() {
    let logs = [
        ("aws-alb", ALB),
        ("aws-elb", ELB),
        ("aws-s3", S3),
        ("aws-cloudfront", CLOUDFRONT),
        ("azure-apim", APIM),
        ("gcp-lb", GCP),
        ("envoy", ENVOY),
        ("istio", ISTIO),
    ];
    for (name, log) in logs {
        for (other, of_other) in logs {
            if name != other {
                assert!(
                    read(name, of_other).iter().all(|read| !read.contains('|')),
                    "{name} {other}"
                );
                let mixed = format!("{of_other}\n{}{of_other}\n", format!("{log}\n").repeat(38));
                let told = detected(&mixed);
                // Text between documents takes them apart.
                let is_records = APIM == log || GCP == log;
                let none = is_records && told.starts_with("no format fits");
                assert!(told == name || none, "{name} with {other}: {told}");
            }
        }
    }
}

// The language

fn format(toml: &str) -> std::result::Result<Format, String> {
    Format::from_toml("x", &toml.parse().unwrap()).map_err(|problems| {
        problems.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    })
}

const JSON: &str = "kind = \"json\"\nat = \"at\"\npath = \"path\"\n";

#[test]
fn a_latency_may_be_a_sum_or_have_its_unit_in_it() {
    let sum = format(&format!("{JSON}latency = {{ sum = [\"a\", \"b\"], unit = \"s\" }}")).unwrap();
    let line = |more: &str| format!("{{\"at\":\"2018-12-18T09:30:00Z\",\"path\":\"/x\"{more}}}");
    let latency = |format: &Format, more: &str| reads_as(format, &line(more)).remove(0);
    assert!(latency(&sum, ",\"a\":0.1,\"b\":\"0.02\"").ends_with("latency_us=120000"));
    assert!(!latency(&sum, ",\"a\":0.1,\"b\":\"-\"").contains("latency_us"));
    assert_eq!(latency(&sum, ",\"a\":0.1,\"b\":-1"), "BadValue");
    let list =
        "latency = [{ sum = [\"a\", \"b\"], unit = \"s\" }, { field = \"c\", unit = \"written\" }]";
    let list = format(&format!("{JSON}{list}")).unwrap();
    assert!(latency(&list, ",\"a\":0.1,\"c\":\"1.5ms\"").ends_with("latency_us=1500"));
    assert_eq!(latency(&list, ",\"c\":1.5"), "BadValue");
    let either =
        format(&format!("{JSON}latency = {{ field = \"c\", unit = \"written or ms\" }}")).unwrap();
    assert!(latency(&either, ",\"c\":\"1.5s\"").ends_with("latency_us=1500000"));
    assert!(latency(&either, ",\"c\":1.5").ends_with("latency_us=1500"));
    assert_eq!(latency(&either, ",\"c\":\"1.5x\""), "BadValue");
    for bad in [
        "{ field = \"c\", unit = \"written or\" }",
        "{ field = \"c\", unit = \"writtens\" }",
        "{ sum = [] , unit = \"s\" }",
        "{ sum = [\"a\"] }",
        "{ sum = [\"a\"], field = \"b\", unit = \"s\" }",
        "{ sum = \"a\", unit = \"s\" }",
    ] {
        assert!(format(&format!("{JSON}latency = {bad}")).is_err(), "{bad}");
    }
    assert!(format(&format!("{JSON}status = {{ sum = [\"a\"] }}")).is_err());
}

#[test]
fn a_time_may_be_joined_of_several_fields() {
    let csv = "kind = \"csv\"\ncolumns = [\"day\", \"clock\", \"path\"]\npath = \"path\"\n\
        at = { join = [\"day\", \"clock\"], as = \"%Y-%m-%d %H:%M:%S\" }";
    let joined = format(csv).unwrap();
    assert_eq!(
        reads_as(&joined, "2018-12-18,09:30:00,/x\n2018-12-18,-,/x\n,09:30:00,/x"),
        ["at=2018-12-18T09:30:00Z|path=/x|outcome=unknown", "NoTime", "NoTime"]
    );
    for (what, instead) in [
        ("[\"day\", \"clock\"]", "[]"),
        ("[\"day\", \"clock\"]", "[\"day\", \"hour\"]"),
        ("join =", "field = \"day\", join ="),
        ("path = \"path\"", "path = { join = [\"path\"] }"),
    ] {
        assert!(format(&csv.replace(what, instead)).is_err(), "{instead}");
    }
}

#[test]
fn text_before_a_record_is_left_aside_if_so_said() {
    let line = "<13>May  2 host x: {\"at\":\"2018-12-18T09:30:00Z\",\"path\":\"/x\"}";
    let call = "at=2018-12-18T09:30:00Z|path=/x|outcome=unknown";
    assert_eq!(reads_as(&format(JSON).unwrap(), line), ["Malformed"]);
    let prefixed = format(&format!("{JSON}prefixed = true")).unwrap();
    assert_eq!(reads_as(&prefixed, line), [call]);
    assert_eq!(reads_as(&prefixed, &format!("{line} x")), ["Malformed"]);
    assert_eq!(reads_as(&prefixed, "no record"), ["Malformed"]);
}

#[test]
fn a_line_must_hold_one_of_the_fields_that_are_required() {
    let required = format(&format!("{JSON}requires = [\"a\", \"b.c\"]")).unwrap();
    let line = "{\"at\":\"2018-12-18T09:30:00Z\",\"path\":\"/x\",\"b\":{\"c\":1}}";
    assert!(reads_as(&required, line)[0].contains("path=/x"));
    assert_eq!(reads_as(&required, &line.replace("\"c\":1", "\"c\":null")), ["Malformed"]);
    for bad in ["[]", "\"\"", "1"] {
        assert!(format(&format!("{JSON}requires = {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn lines_that_are_not_of_a_formats_kind_are_read_otherwise() {
    let regex =
        "kind = \"regex\"\nregex = '(?<at>[^ ]+) (?<path>/.*)'\nat = \"at\"\npath = \"path\"";
    let both = format(&format!(
        "{regex}\nsubject = {{ route = \"a\" }}\n[otherwise]\n{JSON}subject = {{ route = \"b\" }}"
    ))
    .unwrap();
    let log = "2018-12-18T09:30:00Z /x\n{\"at\":\"2018-12-18T09:30:00Z\",\"path\":\"/y\"}\nneither";
    assert_eq!(
        reads_as(&both, log),
        [
            "at=2018-12-18T09:30:00Z|path=/x|outcome=unknown|subject=<a>",
            "at=2018-12-18T09:30:00Z|path=/y|outcome=unknown|subject=<b>",
            "Malformed"
        ]
    );
    assert_eq!(both.placeholders().collect::<Vec<_>>(), ["a", "b"]);
    for (bad, told) in [
        (format!("{regex}\notherwise = 1"), "otherwise: found integer"),
        (
            format!(
                "{regex}\n[otherwise]\nkind = \"json-records\"\nrecords = []\nat = \"at\"\npath = \"p\""
            ),
            "stand alone",
        ),
        (
            format!("{regex}\n[otherwise]\nkind = \"w3c\"\nat = \"at\"\npath = \"p\""),
            "must be the first",
        ),
        (
            format!("{regex}\n[otherwise]\nkind = \"json\"\nat = \"at\"\n"),
            "formats.x.otherwise: neither `path` nor `api`",
        ),
    ] {
        let error = format(&bad).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
}
