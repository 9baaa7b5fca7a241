//! 8.M: the text renderings.

use crate::{
    answer::{Answer, JSON, OCCI, PLAIN, URI_LIST},
    check::{Check, Outcome, Stop},
    draft::{Draft, split_identifier},
    fixture::Tag,
    names::{COMPUTE, NETWORK, NETWORK_INTERFACE},
    request::Request,
    session::Session,
};

const TITLE: &str = "occi.core.title";
const SUMMARY: &str = "occi.core.summary";

pub(crate) const CHECKS: &[Check] = &[
    check!(
        258,
        Must,
        "H11 §3.5; T12 §4",
        "X-OCCI-Attribute with two values in a comma list, one with a comma in its quotes: two attributes, the \
         comma kept",
        commas_in_quotes_are_kept
    ),
    check!(
        259,
        Must,
        "T12 §4.1",
        "A create whose Category says class=kind without quotes: accepted",
        class_may_be_bare
    ),
    check!(
        260,
        Must,
        "T12 §4.1",
        "A user mixin whose term has a capital and a dot, as the grammar of 1.2 allows: accepted and listed",
        terms_may_have_capitals_and_dots
    ),
    check!(
        261,
        Must,
        "RFC 7230",
        "Header fields of text/occi in any case, x-occi-attribute and X-Occi-Attribute: accepted",
        field_names_have_no_case
    ),
    check!(
        262,
        Must,
        "T12 §4.1 quoted-string",
        "A title with \\\" and \\\\ in its quotes: unescaped when it is read, and escaped when it is written",
        escapes_are_undone_and_made
    ),
    check!(
        263,
        Must,
        "T12 §4.3",
        "occi.compute.cores=2 and occi.compute.memory=2.0: an integer and a float, bare in text and numbers in JSON",
        numbers_have_types
    ),
    check!(
        264,
        Interop,
        "pyssf, jOCCI",
        "occi.compute.cores=\"2\" in quotes: taken as a number",
        quoted_numbers_are_taken
    ),
    check!(
        265,
        Must,
        "T12 §4.4",
        "X-OCCI-Location with two URIs in a comma list: both are taken",
        locations_may_be_a_list
    ),
    check!(
        266,
        Must,
        "T12 §8; RFC 2483",
        "A text/uri-list in a request with lines that start with #: these are comments and ignored",
        uri_list_comments_are_ignored
    ),
    check!(
        267,
        Interop,
        "rOCCI 4",
        "Answers in text/uri-list: no comments, and lines end with LF only",
        uri_lists_are_bare
    ),
    check!(
        268,
        Interop,
        "jOCCI",
        "Lines of text/plain in a request that end with `;`: accepted",
        lines_may_end_with_semicolon
    ),
    check!(
        269,
        Interop,
        "rOCCI 5",
        "X-OCCI-Category and X-OCCI-Link in a request: same as Category and Link",
        prefixed_fields_are_taken
    ),
    check!(
        270,
        Interop,
        "rOCCI",
        "Field names in bodies of text/plain: exactly Category, Link, X-OCCI-Attribute and X-OCCI-Location",
        field_names_are_exact
    ),
    check!(
        271,
        Interop,
        "rOCCI, jOCCI",
        "GET /-/ as text/occi: no comma within a title or another value, since clients split at every comma",
        listed_values_have_no_comma
    ),
];

async fn expect_text(session: &Session, path: &str, name: &str, wanted: &str) -> Outcome {
    let shown = session.read(path).await?;
    hold!(shown.text(name) == Some(wanted), "{name} is {:?} instead of {wanted:?}", shown.attributes.get(name));
    Ok(())
}

async fn commas_in_quotes_are_kept(session: &Session) -> Outcome {
    let compute = session.compute().await?;
    let value = "occi.core.title=\"one, two; three\", occi.core.summary=\"four\"";
    let plain = Request::post(&compute).plain(&format!("X-OCCI-Attribute: {value}\n"));
    session.send(plain).await?.expect(&[200])?;
    expect_text(session, &compute, TITLE, "one, two; three").await?;
    expect_text(session, &compute, SUMMARY, "four").await?;
    let value = value.replace("one", "five").replace("four", "six");
    let fields = Request::post(&compute).content_type(OCCI).header("X-OCCI-Attribute", &value);
    session.send(fields).await?.expect(&[200])?;
    expect_text(session, &compute, TITLE, "five, two; three").await?;
    expect_text(session, &compute, SUMMARY, "six").await
}

async fn class_may_be_bare(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let lines = session.compute_draft().lines().replace("class=\"kind\"", "class=kind");
    let path = session.created(&session.send(Request::post(computes).plain(&lines)).await?)?;
    let shown = session.read(&path).await?;
    hold!(shown.kind == COMPUTE, "{path} is of kind {}", shown.kind);
    Ok(())
}

async fn terms_may_have_capitals_and_dots(session: &Session) -> Outcome {
    // Whether users may define mixins at all is another rule.
    session.tag().await?;
    let small = session.new_tag();
    let tag = Tag { identifier: small.identifier.replace("my_stuff_", "My.Stuff-"), location: small.location };
    session.send(Request::post("/-/").plain(&tag.line())).await?.expect(&[200])?;
    let listed = session.categories().await?;
    let is_listed = listed.iter().any(|category| category.identifier() == tag.identifier);
    hold!(is_listed, "{} is not listed afterwards", tag.identifier);
    Ok(())
}

async fn field_names_have_no_case(session: &Session) -> Outcome {
    let compute = session.compute().await?;
    for is_lower in [true, false] {
        let title = session.unique("title");
        let request = Request::post(&compute).occi(&Draft::new().attribute(TITLE, title.clone()));
        let request = if is_lower { request.lower_case() } else { request };
        session.send(request).await?.expect(&[200])?;
        expect_text(session, &compute, TITLE, &title).await?;
    }
    let value = "x-occi-attribute: occi.core.title=\"in a body\"\n";
    session.send(Request::post(&compute).plain(value)).await?.expect(&[200])?;
    expect_text(session, &compute, TITLE, "in a body").await
}

async fn escapes_are_undone_and_made(session: &Session) -> Outcome {
    let compute = session.compute().await?;
    let title = "a \"quoted\" word, and a back\\slash";
    let request = Request::post(&compute).text(&Draft::new().attribute(TITLE, title));
    session.send(request).await?.expect(&[200])?;
    for media_type in [JSON, PLAIN, OCCI] {
        let shown = session.send(Request::get(&compute).accept(media_type)).await?.expect(&[200])?.entity()?;
        hold!(shown.text(TITLE) == Some(title), "as {media_type}, the title is {:?}", shown.text(TITLE));
    }
    Ok(())
}

async fn numbers_have_types(session: &Session) -> Outcome {
    let draft = session.compute_draft().attribute("occi.compute.cores", 2).attribute("occi.compute.memory", 2.0);
    let compute = session.create(COMPUTE, &draft).await?;
    let answer = session.send(Request::get(&compute)).await?;
    let lines = answer.expect(&[200])?.rendered("X-OCCI-Attribute")?;
    let written = |name: &str| {
        let value = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_default().to_owned()
    };
    let cores = written("occi.compute.cores");
    let is_integer = !cores.is_empty() && cores.bytes().all(|digit| digit.is_ascii_digit());
    hold!(is_integer, "occi.compute.cores is written {cores:?}");
    let memory = written("occi.compute.memory");
    let is_float = memory.split_once('.').is_some_and(|(whole, part)| {
        !whole.is_empty() && !part.is_empty() && (whole.to_owned() + part).bytes().all(|digit| digit.is_ascii_digit())
    });
    hold!(is_float, "occi.compute.memory is written {memory:?}");
    let json = session.send(Request::get(&compute).accept(JSON)).await?.expect(&[200])?.json()?;
    hold!(
        json["attributes"]["occi.compute.cores"].is_u64(),
        "in JSON, cores is {}",
        json["attributes"]["occi.compute.cores"]
    );
    hold!(
        json["attributes"]["occi.compute.memory"].is_number(),
        "in JSON, memory is {}",
        json["attributes"]["occi.compute.memory"]
    );
    for (name, value) in json["attributes"].as_object().into_iter().flatten() {
        let is_quoted_boolean = value == "true" || value == "false";
        hold!(!is_quoted_boolean, "{name} is the text {value} instead of a boolean");
    }
    Ok(())
}

async fn quoted_numbers_are_taken(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let lines = format!("{}X-OCCI-Attribute: occi.compute.cores=\"2\"\n", session.compute_draft().lines());
    let path = session.created(&session.send(Request::post(computes).plain(&lines)).await?)?;
    let shown = session.read(&path).await?;
    // A size template governs the value; a number it must be in any case.
    let cores = shown.number("occi.compute.cores");
    let is_governed = session.options().resource_tpl.is_some();
    hold!(cores == Some(2.0) || (is_governed && cores.is_some()), "cores is {cores:?} afterwards");
    Ok(())
}

async fn locations_may_be_a_list(session: &Session) -> Outcome {
    let (tag, one, two) = (session.tag().await?, session.compute().await?, session.compute().await?);
    let lines = format!("X-OCCI-Location: {one}, {two}\n");
    session.send(Request::post(&tag.location).plain(&lines)).await?.expect(&[200])?;
    expect_members(session, &tag, &[&one, &two]).await
}

async fn expect_members(session: &Session, tag: &Tag, wanted: &[&String]) -> Outcome {
    let found = session.members(&tag.location).await?;
    hold!(found.len() == wanted.len(), "{} members are listed instead of {}: {found:?}", found.len(), wanted.len());
    for path in wanted {
        hold!(found.contains(path), "{path} is no member of {}", tag.location);
    }
    Ok(())
}

async fn uri_list_comments_are_ignored(session: &Session) -> Outcome {
    let (tag, one, two) = (session.tag().await?, session.compute().await?, session.compute().await?);
    let list = format!("# uri:/compute/\r\n{}{one}\r\n# the other one\r\n{}{two}\r\n", session.base(), session.base());
    let answer = session.send(Request::post(&tag.location).body(URI_LIST, &list)).await?;
    if [406, 415].contains(&answer.status) {
        skip!("the server takes no text/uri-list in requests: it answers {}", answer.status);
    }
    answer.expect(&[200])?;
    expect_members(session, &tag, &[&one, &two]).await
}

async fn listings(session: &Session) -> Result<Vec<Answer>, Stop> {
    session.compute().await?;
    session.shared_compute().await?;
    let mut answers = Vec::new();
    for path in [session.model.location(COMPUTE)?, "/"] {
        let answer = session.send(Request::get(path).accept(URI_LIST)).await?;
        answer.expect(&[200])?.expect_media(URI_LIST)?;
        answers.push(answer);
    }
    Ok(answers)
}

async fn uri_lists_are_bare(session: &Session) -> Outcome {
    for answer in listings(session).await? {
        let text = answer.text()?;
        hold!(!text.contains('\r'), "a line ends with CR LF");
        hold!(!text.lines().any(|line| line.starts_with('#')), "there is a comment");
        hold!(text.lines().count() > 1, "two computes are not two lines: {:?}", answer.first_words());
        hold!(text.lines().all(|line| line.contains("://")), "a line is no absolute URI: {:?}", answer.first_words());
    }
    Ok(())
}

async fn lines_may_end_with_semicolon(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let draft = session.compute_draft();
    let end = |line: &str| if line.starts_with("Category") { format!("{line};\n") } else { format!("{line}\n") };
    let lines: String = draft.lines().lines().map(end).collect();
    let path = session.created(&session.send(Request::post(computes).plain(&lines)).await?)?;
    let shown = session.read(&path).await?;
    hold!(shown.kind == COMPUTE, "{path} is of kind {}", shown.kind);
    Ok(())
}

async fn prefixed_fields_are_taken(session: &Session) -> Outcome {
    let computes = session.model.location(COMPUTE)?;
    let has_networks = session.model.find(NETWORK_INTERFACE).is_some() && session.model.find(NETWORK).is_some();
    let mut draft = session.compute_draft();
    if has_networks {
        draft = draft.link(&session.network().await?, NETWORK, NETWORK_INTERFACE);
    }
    let mut request = Request::post(computes).content_type(OCCI);
    for (name, value) in draft.fields() {
        let prefixed = if name == "X-OCCI-Attribute" { name } else { format!("X-OCCI-{name}") };
        request = request.header(&prefixed, &value);
    }
    let path = session.created(&session.send(request).await?)?;
    let shown = session.read(&path).await?;
    hold!(shown.kind == COMPUTE, "{path} is of kind {}", shown.kind);
    hold!(shown.links.len() >= usize::from(has_networks), "{path} has no link to the network");
    Ok(())
}

async fn field_names_are_exact(session: &Session) -> Outcome {
    let entity = match session.shared_interface().await {
        Ok(link) => link.source,
        Err(_) => session.shared_compute().await?,
    };
    for path in ["/-/", &entity, session.model.location(COMPUTE)?] {
        let answer = session.send(Request::get(path)).await?;
        for line in answer.expect(&[200])?.text()?.lines().filter(|line| !line.is_empty()) {
            let known = ["Category: ", "Link: ", "X-OCCI-Attribute: ", "X-OCCI-Location: "];
            hold!(known.iter().any(|name| line.starts_with(name)), "a line of {path} is {line:?}");
        }
        hold!(!answer.body.is_empty(), "{path} has no body");
    }
    Ok(())
}

async fn listed_values_have_no_comma(session: &Session) -> Outcome {
    let answer = session.send(Request::get("/-/").accept(OCCI)).await?;
    let categories = answer.expect(&[200])?.expect_media(OCCI)?.rendered("Category")?;
    hold!(!categories.is_empty(), "nothing is listed");
    for value in categories {
        // What others named so is not the server's fault.
        let (scheme, _) = value.split_once("scheme=\"").map_or(("", ""), |(_, rest)| split_identifier(rest));
        let is_of_users = scheme.starts_with("http://example.com/");
        hold!(is_of_users || !value.contains(','), "clients split this at its comma: {value}");
    }
    Ok(())
}
