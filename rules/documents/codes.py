"""Every code of a finding, once: its title, and what an author does about it.

docs/diagnostics.md is held to this table by a test. A code is never given a second meaning, and never used
again after it has gone.
"""

from typing import NamedTuple


class Code(NamedTuple):
    """`title` says what is wrong, `advice` what to do."""

    title: str
    advice: str


CODES: dict[str, Code] = {
    "TT001": Code(
        "The text is not YAML", "Look at the line above, too: a missing quote or space shows late."
    ),
    "TT002": Code(
        "The text is larger or deeper than we read", "Split it; aliases count as what they stand for."
    ),
    "TT003": Code("A key stands twice in one mapping", "Keep one. YAML readers keep the last one, silently."),
    "TT004": Code("A key is not a text", "Put it in quotes."),
    "TT005": Code(
        "A tag, or an alias inside its own anchor", "Leave it out; only plain data has a meaning here."
    ),
    "TT006": Code("A number that no signal can have", "Numbers are finite and integers fit into 64 bits."),
    "TT007": Code(
        "YAML 1.1 reads this value otherwise", "Put it in quotes, so that kubectl sees what we see."
    ),
    "TT008": Code(
        "A file or directory cannot be read", "Check the path, the rights, and that the file is UTF-8."
    ),
    "TT009": Code(
        "There is nothing to read", "A file holds at least one document, a directory one YAML file."
    ),
    "TT010": Code("Not a document", "A document is a mapping with apiVersion, kind, metadata and spec."),
    "TT011": Code("Unknown apiVersion", "This version of Telltale reads telltale.dev/v1alpha1."),
    "TT012": Code("Unknown kind", "docs/rules.md lists the kinds."),
    "TT014": Code(
        "A field that this version does not run", "Take the field out: it would have had no effect."
    ),
    "TT020": Code("A required field is missing", "Add it."),
    "TT021": Code("Unknown field", "Fields are camelCase and case matters; docs/rules.md lists them."),
    "TT022": Code("A value of the wrong type", "Quotes make a text, `- ` a list, `key:` a mapping."),
    "TT023": Code("A value that is not allowed", "The message lists what is."),
    "TT024": Code("Not a duration", "Write a number with a unit: 30s, 5m, 1h30m, 250ms."),
    "TT025": Code("Not a name", "Lower-case letters, digits and dashes, at most 63, as for Kubernetes."),
    "TT026": Code(
        "A severity ladder that does not hold together", "Highest first, each once, the last one true."
    ),
    "TT027": Code("An action that cannot act", "One of command and publish, upon something that can happen."),
    "TT028": Code(
        "A signal's name that conditions cannot use", "Words of letters, digits and _ with dots between."
    ),
    "TT029": Code("An alias that conditions cannot use", "One word, once, that means nothing else."),
    "TT030": Code(
        "A range that does not fit the signal", "min and max for numbers, allowed values of its type."
    ),
    "TT031": Code(
        "Two signals at one place in the payload", "Use an alias where one signal needs two names."
    ),
    "TT040": Code("Not a VSS export", "Make the file with: vspec export json."),
    "TT041": Code(
        "A VSS leaf that was left out", "Arrays and structs are no signals; name the leaf you need."
    ),
    "TT050": Code("A rule with two conditions", "One of when and absentFor; write two rules for both."),
    "TT051": Code(
        "A field that a silence cannot have",
        "See docs/time-conditions.md for what a rule with absentFor has.",
    ),
    "TT052": Code(
        "A silence of no signals", "Name the signals, or leave signals out for any message of the vehicle."
    ),
    "TT053": Code(
        "Not a time of day", 'Write a text with hour and minute: "06:30", "22:00", and "24:00" as an end.'
    ),
    "TT054": Code("Not a time zone", "Write a name of the IANA database: Asia/Shanghai, Europe/Berlin, UTC."),
    "TT055": Code("A schedule that is never open", "Give it a span, a day, and an end after its beginning."),
    "TT060": Code("A fence that is not one shape", "One of geometry, circle and corridor."),
    "TT061": Code(
        "A geometry of another kind", "A fence is a Polygon, a MultiPolygon, a circle or a corridor."
    ),
    "TT062": Code("Not a position", "Longitude first, then latitude, in degrees (WGS 84)."),
    "TT063": Code("A shape without enough positions", "Three corners make a ring, two positions a line."),
    "TT064": Code(
        "A polygon that crosses itself", "Sides do not cross, rings enclose something, holes lie inside."
    ),
    "TT065": Code(
        "A fence beyond what is computed", "docs/geofences.md has the limits of size, place and detail."
    ),
    "TT066": Code("A ring that is not closed", "It is closed for you; end it with its first position."),
    "TT067": Code(
        "Not a collection of fences", "A .geojson file holds one FeatureCollection, each feature with a name."
    ),
    "TT068": Code("A rule without fences", "Name them, or say which labels they have."),
    "TT069": Code("Events that do not fit the rule", "Each event once; dwell and its time go together."),
    "TT070": Code(
        "Not one window",
        "Exactly one of tumbling, hopping, sliding, session and calendar, with its own fields.",
    ),
    "TT071": Code("A time that windows cannot have", "From 1s to 400d; every divides its window."),
    "TT072": Code("Unknown time zone", "Names of the IANA database, such as Asia/Shanghai."),
    "TT073": Code("No aggregates, or too many", "Give the rule 1 to 32 of them."),
    "TT074": Code(
        "Lateness for windows that are not corrected",
        "Sessions and sliding windows stay as they were told of.",
    ),
    "TT075": Code("Results too often", "emit: onUpdate tells of each change."),
    "TT076": Code(
        "Groups by nothing, or by too much", "1 to 8 expressions; leave groupBy out for: by vehicle."
    ),
    "TT077": Code(
        "A window that groups cannot have",
        "Sessions and sliding windows are of one vehicle; groups take fixed ones.",
    ),
    "TT078": Code("A command to a group", "Commands are for one vehicle; a group's alert can be published."),
    "TT080": Code("Not a sequence", "Give it 1 to 32 steps."),
    "TT081": Code("Two steps with one name", "A step's name belongs to one step of its rule."),
    "TT082": Code("A step that is not one thing", "A step has a when, or a not."),
    "TT083": Code(
        "A sequence that begins with not", "Begin with the message after which it must not happen."
    ),
    "TT084": Code("A last not without an end", "Say for how long it must not happen: for: 20s."),
    "TT085": Code(
        "A field that this step cannot have", "when takes within and times, not takes for; see docs/rules.md."
    ),
    "TT086": Code("Fewer at most than at least", "min is not above max."),
    "TT087": Code("A sequence that never has the time", "within is strict: more than all its for together."),
    "TT088": Code(
        "A skip that leads nowhere", "One of toFirst and toLast, with the name of a step with when."
    ),
    "TT089": Code("More messages than are kept together", "The first step takes at most 64."),
    "TT090": Code("A name that cannot be defined", "One word that no signal, alias or function has yet."),
    "TT091": Code(
        "Parameters that do not go together", "Each has a name of its own; a value has the parameter's type."
    ),
    "TT092": Code("A list of several types", "A list is of numbers, of texts, or of booleans."),
    "TT093": Code(
        "An adaptation that changes nothing", "Give it parameters, a severity, labels, actions, or drop it."
    ),
    "TT094": Code("An exception that does not hold together", "Each row has a value for each field."),
    "TT095": Code(
        "A rollout that is always taken back", "Leave room between fireRatioBelow and fireRatioAbove."
    ),
    "TT096": Code(
        "A key that no value could have",
        "min, max and allowed go with the type; min is at most max.",
    ),
    "TT201": Code("A name is used twice", "A name belongs to one document of its kind."),
    "TT202": Code("More than one catalog", "A rule set has one vocabulary; load the other set on its own."),
    "TT203": Code("Rules without a catalog", "Add a SignalCatalog: it says which signals exist."),
    "TT204": Code(
        "A condition that cannot hold for a time", "changed holds for one message: no time beside it."
    ),
    "TT205": Code(
        "A hold longer than its signal is known", "A silent vehicle never fires it; see docs/rules.md."
    ),
    "TT206": Code(
        "Windows over too many signals",
        "The samples of at most 64 signals are kept; an AggregationRule needs none of them.",
    ),
    "TT207": Code(
        "A silence of a signal that the catalog does not have", "Use a name or alias of the catalog."
    ),
    "TT208": Code(
        "A hold longer than its schedule is open", "Shorten for, or let a span begin where another ends."
    ),
    "TT210": Code("A fence that nobody declared", "Load the Geofence with the rules, or correct the name."),
    "TT211": Code("A catalog that says no position", "Add spec.position: without it no vehicle is anywhere."),
    "TT212": Code(
        "A fence far from all others", "Longitude comes first: check whether the two numbers are swapped."
    ),
    "TT213": Code("Labels that no fence has", "Compare them with metadata.labels of the fences."),
    "TT214": Code("A speed that is no number", "Name a numeric signal of the catalog, or its alias."),
    "TT215": Code("More than one rollout", "A set is rolled out as a whole, to one share of the vehicles."),
    "TT216": Code("One name in two modes", "Rename one of the rules: a name is in shadow, or it is not."),
    "TT217": Code(
        "A tenant's own, of what a set has one of", "Give it a name without a dot: it is everybody's."
    ),
    "TT220": Code(
        "Not an aggregate",
        "One call: count(), sum(x), avg, min, max, stddev, percentile, distinct, first, last, increase.",
    ),
    "TT221": Code("An aggregate with wrong arguments", "docs/aggregations.md lists what each takes."),
    "TT222": Code("A value that this aggregate cannot take", "Numbers; sum and avg also take conditions."),
    "TT223": Code(
        "A value that cannot tell groups apart", "A text, a number or a condition, known at a message."
    ),
    "TT224": Code(
        "A having that only asks for what is missing",
        "A window without a message has no record: see absentFor.",
    ),
    "TT225": Code("A vehicle where there is a group", "Name groups by group.NAME; a group has no vehicle."),
    "TT230": Code("A selector that reads a signal", "It is judged by id, labels and attributes alone."),
    "TT231": Code("An attribute of two types", "A vehicle's attribute has one; of another it is unknown."),
    "TT240": Code("An adaptation of no rule", "Load the rule's file, too; names are those of metadata.name."),
    "TT241": Code("A parameter or exception that the rule does not have", "The hint lists what it has."),
    "TT242": Code("A value that the parameter cannot have", "The rule says type, range, and allowed values."),
    "TT243": Code("A field that rules of this kind do not have", "Take it out of the adaptation."),
    "TT244": Code(
        "Two adaptations set the same", "One of them has to go: the order of documents means nothing."
    ),
    "TT245": Code("A definition that uses itself", "Write out one of the definitions of the circle."),
    "TT246": Code("A name is defined twice", "A name belongs to one definition of the rule set."),
    "TT247": Code(
        "A parameter that the rule does not use", "Use it in an expression or duration, or drop it."
    ),
    "TT248": Code(
        "A value that the field of an exception cannot have", "Numbers, texts or booleans, as it is."
    ),
    "TT249": Code("More findings than are told", "Correct these first."),
    "TT250": Code(
        "A payload that vehicles do not understand", "The CommandType says which keys and values there are."
    ),
    "TT251": Code("A command that no CommandType declares", "Correct its name, or declare it."),
    "TT300": Code("A test that tests nothing", "Expect a state, alerts, commands or published records."),
    "TT301": Code("Samples that cannot be read", "For example: 90 135x9 _x3 0..135x10; see docs/testing.md."),
    "TT302": Code(
        "A value that the signal cannot have", "normalize would drop it: write _ for nothing sent."
    ),
    "TT303": Code("A name that the test's rule set does not have", "The hint names the nearest one."),
    "TT304": Code("A step that is not one thing", "A message, registry, forget, restart or uplink."),
    "TT305": Code("An expectation that is not one thing", "One sort of outcome: docs/testing.md lists them."),
    "TT306": Code("A vehicle or a rule is to be named", "Only where the test has one may it be left out."),
    "TT307": Code(
        "Times that do not fit together", "A message comes at or after the instant that it tells of."
    ),
    "TT308": Code(
        "A registration that the registry would refuse", "The message says all that is wrong with it."
    ),
    "TT320": Code(
        "A condition that never holds",
        "Compare with the catalog's range; a unit may be another one than you think.",
    ),
    "TT321": Code(
        "A condition, or a part of one, that always holds", "Leave the part out, or correct its constant."
    ),
    "TT322": Code("Two units are mixed", "Convert one: the hint gives the factor where it is known."),
    "TT323": Code(
        "clearWhen and when hold together",
        "Leave a gap between them; otherwise the alert ends with the message that it begins with.",
    ),
    "TT324": Code(
        "A severity that is never reached", "A higher rung holds whenever this one would: change the order."
    ),
    "TT325": Code(
        "A command that the catalog does not have", "Correct its name, or declare it in spec.commands."
    ),
    "TT326": Code(
        "A payload that does not fit its command", "spec.commands of the catalog says what is expected."
    ),
    "TT328": Code(
        "Groups without a bound",
        "Group by a text or a whole number; what is over the cap is dropped and counted.",
    ),
    "TT327": Code(
        "A label or attribute that the catalog does not have",
        "Correct its name, or declare it in spec.vehicle.",
    ),
    "TT309": Code(
        "A sort of outcome that the rule does not have", "States and alerts are of alert and sequence rules."
    ),
}
