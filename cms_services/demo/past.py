"""The company's two years: every change is made again, in order, at the time it happened."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from cms_services.accounts.sessions import actor_of_user
from cms_services.accounts.users import create_user
from cms_services.actor import Actor
from cms_services.catalogue.access import load_service
from cms_services.catalogue.lifecycle import transition
from cms_services.catalogue.models import Service
from cms_services.clock import fixed_at
from cms_services.configuration.documents import Document
from cms_services.configuration.history import merge_configuration
from cms_services.demo.days import reproducible
from cms_services.demo.people import DemoPerson, DemoProject
from cms_services.demo.planned import ConfigurationChange, PlannedService, StatusChange
from cms_services.extensions import db
from cms_services.projects.models import Project
from cms_services.projects.sharing import create_project, set_member
from cms_services.provisioning.services import NewService, create_service
from cms_services.vocabulary import ProjectRole

# How each secret begins, so that nobody takes it for a real one.
INVENTED = "demo-secret-"


@dataclass(frozen=True)
class Step:
    at: datetime
    happen: Callable[[], object]


@dataclass
class Past:
    """What there is of the company so far, by handle and by name. `end` is the present."""

    end: datetime
    admin: Actor
    password: str
    people: dict[str, Actor] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)

    def relive(
        self,
        people: Sequence[DemoPerson],
        projects: Sequence[DemoProject],
        services: Sequence[PlannedService],
    ) -> None:
        """Do all that ever happened, the oldest first."""
        steps = [step for person in people for step in self._of_person(person)]
        steps += [step for project in projects for step in self._of_project(project)]
        steps += [step for service in services for step in self._of_service(service)]
        for step in sorted(steps, key=lambda step: step.at):
            with fixed_at(step.at):
                step.happen()
                db.session.flush()

    def owner_of(self, service: Service) -> Actor:
        return next(each for each in self.people.values() if each.user_id == service.user_id)

    def _of_person(self, person: DemoPerson) -> Iterator[Step]:
        def join() -> None:
            user = create_user(self.admin, person.email, person.name, self.password, person.role)
            actor = actor_of_user(user.id)
            if actor is not None:
                self.people[person.handle] = actor

        yield Step(self._moment(person.days_ago, person.handle), join)

    def _of_project(self, project: DemoProject) -> Iterator[Step]:
        def begin() -> None:
            founder = self.people[project.founder]
            self.projects[project.name] = create_project(founder, project.name, project.description)

        def admit(handle: str, role: ProjectRole) -> None:
            founder = self.people[project.founder]
            set_member(founder, self.projects[project.name], self.people[handle].own_id, role)

        yield Step(self._moment(project.days_ago, project.name), begin)
        for handle, role, days_ago in project.members:
            at = self._moment(days_ago, project.name + handle)
            yield Step(at, partial(admit, handle, role))

    def _of_service(self, planned: PlannedService) -> Iterator[Step]:
        def create() -> None:
            self.services[planned.name] = create_service(
                self.people[planned.owner], self._new_service(planned)
            )

        def change(what: StatusChange | ConfigurationChange) -> None:
            actor = self.people[what.by or planned.owner]
            service = load_service(actor, self.services[planned.name].id, for_change=True)
            if isinstance(what, StatusChange):
                transition(actor, service, what.to, what.reason)
            else:
                merge_configuration(actor, service, what.patch)

        yield Step(self._moment(planned.days_ago, planned.name), create)
        for what in planned.history:
            at = self._moment(what.days_ago, planned.name)
            yield Step(at, partial(change, what))

    def _new_service(self, planned: PlannedService) -> NewService:
        billed = None
        if planned.billed_in_days is not None:
            billed = self.end + timedelta(days=planned.billed_in_days)
            billed = billed.replace(hour=0, minute=0, second=0, microsecond=0)
        return NewService(
            name=planned.name,
            type=planned.type,
            project=planned.project,
            description=planned.description,
            endpoints=list(planned.endpoints),
            dependencies=list(planned.needs),
            configuration=_with_secrets(planned),
            template=planned.template,
            billing_id=planned.billing_id,
            next_billing_date=billed,
            tags=list(planned.tags),
        )

    def _moment(self, days_ago: int, subject: str) -> datetime:
        """Some time in the working hours of that day."""
        chance = reproducible(f"{subject} {days_ago}")
        return (self.end - timedelta(days=days_ago)).replace(
            hour=chance.randint(7, 16),
            minute=chance.randint(0, 59),
            second=chance.randint(0, 59),
            microsecond=chance.randint(0, 999_999),
        )


def _with_secrets(planned: PlannedService) -> Document:
    """The configuration with a fresh invented value for each of its secrets."""
    if not planned.secrets:
        return planned.configuration
    invented = {
        name: {"value": INVENTED + secrets.token_urlsafe(24), "secret": True}
        for name in planned.secrets
    }
    environment = planned.configuration.get("environment", {})
    return planned.configuration | {"environment": environment | invented}
