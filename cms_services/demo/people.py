"""Who works at the invented company, and on which projects."""

from dataclasses import dataclass

from cms_services.vocabulary import ProjectRole, Role

COMPANY = "Brightquay"


@dataclass(frozen=True)
class DemoPerson:
    """Somebody with an account. `days_ago` is when it was made."""

    handle: str
    name: str
    role: Role
    days_ago: int
    part: str

    @property
    def email(self) -> str:
        return f"{self.handle}@brightquay.example"


@dataclass(frozen=True)
class DemoProject:
    """A project. Its members are (handle, role, days ago)."""

    name: str
    description: str
    founder: str
    days_ago: int
    members: tuple[tuple[str, ProjectRole, int], ...]


PEOPLE = (
    DemoPerson(
        "mara", "Mara Lindqvist", Role.USER, 726, "heads the studio and looks after Tidepool Coffee"
    ),
    DemoPerson(
        "jonas", "Jonas Okafor", Role.USER, 724, "writes back ends and looks after Fieldnote"
    ),
    DemoPerson(
        "priya", "Priya Raman", Role.USER, 688, "runs clusters and databases; edits every project"
    ),
    DemoPerson("tomas", "Tomás Herrera", Role.USER, 498, "looks after Harbour Tours"),
    DemoPerson("elif", "Elif Öztürk", Role.USER, 310, "answers clients; mostly looks on"),
    DemoPerson(
        "nora", "Nora Petit", Role.GUEST, 9, "a possible client: a guest, who sees no services"
    ),
)

PROJECTS = (
    DemoProject(
        "brightquay-studio",
        "What the studio itself runs on: builds, time sheets, statistics.",
        "mara",
        721,
        (
            ("jonas", ProjectRole.EDITOR, 720),
            ("priya", ProjectRole.OWNER, 685),
            ("tomas", ProjectRole.VIEWER, 496),
            ("elif", ProjectRole.VIEWER, 308),
        ),
    ),
    DemoProject(
        "tidepool-shop",
        "The web shop of Tidepool Coffee, a roaster with 40,000 customers.",
        "mara",
        684,
        (
            ("jonas", ProjectRole.EDITOR, 683),
            ("priya", ProjectRole.EDITOR, 682),
            ("tomas", ProjectRole.VIEWER, 480),
            ("elif", ProjectRole.VIEWER, 305),
        ),
    ),
    DemoProject(
        "fieldnote-magazine",
        "Editorial system and site of Fieldnote, a monthly about landscapes.",
        "jonas",
        470,
        (
            ("priya", ProjectRole.EDITOR, 468),
            ("mara", ProjectRole.VIEWER, 460),
            ("elif", ProjectRole.EDITOR, 290),
        ),
    ),
    DemoProject(
        "harbour-tours",
        "Bookings and tickets for the boats of Harbour Tours.",
        "tomas",
        296,
        (
            ("priya", ProjectRole.EDITOR, 294),
            ("jonas", ProjectRole.VIEWER, 280),
            ("elif", ProjectRole.VIEWER, 200),
        ),
    ),
)
