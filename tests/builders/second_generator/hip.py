"""One hip: femur, pelvic bone, cartilage and capsule, from points given lateral / posterior / superior of the head's centre."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tests.builders.second_generator.canvas import Canvas
from tests.builders.second_generator.shapes import Array, Points, Shape, ellipsoid, half_space, join, rod

Point = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Hip:
    """Measures of one hip; `centre` is the head's centre, `outward` +1 where the patient's left (+x) is lateral."""

    side: str
    centre: Point
    outward: int
    radius_mm: float
    head_squash: float
    neck_shaft_deg: float
    anteversion_deg: float
    neck_ratio: float
    shaft_forward: float
    joint_mm: float
    redness: float

    def at(self, lateral: float, posterior: float, superior: float) -> Point:
        """Position of a point given in a hip of 25 mm head radius, sized to this one."""
        size = self.radius_mm / 25
        return self.centre + size * np.array([self.outward * lateral, posterior, superior])

    def along(self, lateral: float, posterior: float, superior: float) -> Point:
        """Direction in patient axes of a direction in the hip's own."""
        return np.array([self.outward * lateral, posterior, superior])

    @cached_property
    def neck(self) -> Point:
        """Unit direction from the head's centre down the neck."""
        lean, turn = np.radians(180 - self.neck_shaft_deg), np.radians(self.anteversion_deg)
        return self.along(np.sin(lean) * np.cos(turn), np.sin(lean) * np.sin(turn), -np.cos(lean))

    @cached_property
    def knee_of_neck(self) -> Point:
        """Where the axis of the neck meets the axis of the shaft."""
        return self.centre + self.neck * self.radius_mm * self.neck_ratio

    def from_knee(self, lateral: float, posterior: float, superior: float) -> Point:
        """As `at`, from the meeting of neck and shaft."""
        return self.knee_of_neck + (self.at(lateral, posterior, superior) - self.centre)

    @cached_property
    def head(self) -> Shape:
        """The head: nearly a sphere."""
        r = self.radius_mm
        return ellipsoid(self.centre, (r, r, r * self.head_squash))

    @cached_property
    def femur(self) -> Shape:
        """Head, neck, both trochanters and shaft, cortex included."""
        r = self.radius_mm
        neck = rod(self.centre + self.neck * r * 0.5, self.knee_of_neck, 0.66 * r, 0.74 * r)
        shaft = rod(self.from_knee(0, 0, -6), self.from_knee(3, self.shaft_forward, -190), 0.64 * r, 0.5 * r)
        greater = ellipsoid(self.from_knee(11, 6, 11), np.array([0.52, 0.68, 0.9]) * r)
        lesser = ellipsoid(self.from_knee(-13, 10, -24), np.array([0.34, 0.36, 0.55]) * r)
        return join([self.head, neck, shaft, greater, lesser], 7)

    @cached_property
    def socket_axis(self) -> Point:
        """The way the acetabulum opens."""
        axis = self.along(0.80, -0.28, -0.50)
        return axis / np.linalg.norm(axis)

    @cached_property
    def pelvic_bone(self) -> Shape:
        """Iliac body and wing, socket, pubis and ischium of this side."""
        r, inner = self.radius_mm, self.radius_mm + self.joint_mm
        midline = abs(self.centre[0]) * 25 / r
        cup = ellipsoid(self.at(-3, 2, 4), (inner + 7, inner + 8, inner + 9)).behind(
            self.centre + self.socket_axis * 0.06 * r, self.socket_axis
        )
        body = rod(self.at(-1, 2, 38), self.at(1, 12, 82), 17 * r / 25, 9 * r / 25)
        ramus = rod(self.at(-24, -14, -12), self.at(-(midline - 9), -33, -34), 10 * r / 25, 8 * r / 25)
        symphysis = ellipsoid(self.at(-(midline - 10), -31, -44), (7.5 * r / 25, 9, 19))
        ischium = rod(self.at(-14, 24, -16), self.at(-24, 30, -62), 13 * r / 25, 14 * r / 25)
        lower = rod(self.at(-24, 22, -74), self.at(-(midline - 14), -20, -62), 7 * r / 25, 5 * r / 25)
        solid = join([cup, body, ramus, symphysis, ischium, lower, self.wing], 8)
        return solid - ellipsoid(self.centre, (inner, inner, inner * self.head_squash))

    @cached_property
    def wing(self) -> Shape:
        """The iliac wing: a thin plate that leans outward as it rises and runs backward to the sacrum."""
        normal = self.along(0.80, 0.42, -0.38)
        normal = normal / np.linalg.norm(normal)
        rise = self.along(0.40, -0.15, 1.0)
        rise = rise - normal * float(rise @ normal)
        rise /= np.linalg.norm(rise)
        axes = np.stack([normal, rise, np.cross(normal, rise)], axis=1)
        return ellipsoid(self.at(12, 16, 82), np.array([7.5, 56, 66]) * self.radius_mm / 25, axes)

    @cached_property
    def neck_end(self) -> Point:
        """Where the capsule ends on the neck."""
        return self.centre + self.neck * self.radius_mm * self.neck_ratio * 0.84

    def capsule_distance(self, points: Points, thickness_mm: Array | float) -> Array:
        """Signed distance from the inside of the capsule when it stands `thickness_mm` off the bone."""
        r = self.radius_mm
        cuff = rod(self.centre + self.neck * r * 0.4, self.knee_of_neck, 0.70 * r, 0.75 * r)
        sac = join([self.head, cuff], 9).distance(points) - np.asarray(thickness_mm, np.float32)
        return np.maximum(sac, half_space(self.neck_end, self.neck)(points))

    @cached_property
    def joint_space(self) -> Shape:
        """A region that holds the joint with the largest effusion."""
        reach = self.radius_mm * 1.9
        return Shape(self.centre + self.neck * 18 - reach, self.centre + self.neck * 18 + reach, lambda p: p[0])


def draw_hip(rng: np.random.Generator, side: str, like: Hip | None = None, offset: float = 92) -> Hip:
    """A random hip; the second one of a patient is `like` the first, a little off."""
    outward = 1 if side == "left" else -1
    if like is None:
        radius = float(rng.uniform(21.5, 27.5))
        centre = np.array([outward * offset * radius / 25, 0, 0]) + rng.normal(0, 1.5, 3)
        return Hip(
            side, centre, outward, radius, float(rng.uniform(0.95, 1.02)), float(rng.uniform(122, 139)),
            float(rng.uniform(2, 25)), float(rng.uniform(1.85, 2.25)), float(rng.uniform(-45, -5)),
            float(rng.uniform(2.8, 4.8)), float(rng.uniform(0.0, 0.9)),
        )  # fmt: skip
    jitter = rng.normal(0, 1, 6)
    centre = like.centre * np.array([-1, 1, 1]) + rng.normal(0, 2.0, 3)
    return Hip(
        side, centre, outward, like.radius_mm + 0.4 * float(jitter[0]), like.head_squash,
        like.neck_shaft_deg + 1.5 * float(jitter[1]), like.anteversion_deg + 3 * float(jitter[2]),
        like.neck_ratio + 0.03 * float(jitter[3]), like.shaft_forward + 3 * float(jitter[4]),
        max(2.4, like.joint_mm + 0.2 * float(jitter[5])), like.redness,
    )  # fmt: skip


def paint_bone(canvas: Canvas, hip: Hip) -> None:
    """Paint the joint's cartilage, the two bones with cortex and marrow, and mark femur and head."""
    socket = ellipsoid(hip.centre, [hip.radius_mm + hip.joint_mm] * 3)
    canvas.paint(socket.behind(hip.centre + hip.socket_axis * 0.1 * hip.radius_mm, hip.socket_axis), "cartilage")
    fovea = hip.centre - hip.socket_axis * (hip.radius_mm + 1) + hip.along(0, 2, -5)
    canvas.paint(ellipsoid(fovea, (4.5, 6, 7)), "red_marrow")
    for shape, name in ((hip.pelvic_bone, "pelvis"), (hip.femur, "femur")):
        box = canvas.grid.box(shape, canvas.reach_mm)
        if box is None:
            continue
        points = canvas.at(box)
        distance = shape.distance(points)
        bone = canvas.share(distance)
        canvas.lay(box, bone, "cortex")
        canvas.lay(box, canvas.share(distance + _cortex_mm(hip, points, name)), "marrow")
        if name == "femur":
            canvas.mark("femur", box, bone)
        canvas.mark("bone", box, bone)
    covered = canvas.cover(hip.head)
    if covered is not None:
        box, share = covered
        canvas.mark("femoral_head", box, np.minimum(share, canvas.labels["femur"][box]))
    _paint_red_marrow(canvas, hip)


def _cortex_mm(hip: Hip, points: Points, name: str) -> Array | np.float32:
    if name == "pelvis":
        return np.float32(1.3)
    below = (hip.knee_of_neck[2] - 25 - points[2]) / np.float32(35)
    return np.float32(0.9) + np.float32(3.6) * np.clip(below, 0, 1)


def _paint_red_marrow(canvas: Canvas, hip: Hip) -> None:
    """Blood-forming marrow: patchy in neck, shaft and pelvis, brighter than fat but no lesion; and the growth-plate scar."""
    for shape, strength in ((hip.pelvic_bone, 0.9), (hip.femur, 0.7)):
        covered = canvas.cover(shape.grown(-2.5))
        if covered is None:
            continue
        box, share = covered
        patchy = np.clip(0.5 + 0.35 * canvas.grain[box], 0, 1) * np.float32(strength * hip.redness)
        near_head = np.clip(ellipsoid(hip.centre, [hip.radius_mm * 0.9] * 3).distance(canvas.at(box)) / 8, 0.1, 1)
        weight = share * patchy * (near_head if shape is hip.femur else np.float32(1))
        canvas.lay(box, weight.astype(np.float32), "red_marrow")
    scar = hip.centre + hip.neck * hip.radius_mm * 0.35
    plate = ellipsoid(scar, (hip.radius_mm * 0.9,) * 2 + (0.9,), _plate_axes(hip.neck))
    canvas.paint(plate, "cortex", opacity=0.5 * (1 - hip.redness))


def _plate_axes(normal: Point) -> npt.NDArray[np.float64]:
    first = np.cross(normal, [0, 1.0, 0])
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(normal, first), normal], axis=1)
