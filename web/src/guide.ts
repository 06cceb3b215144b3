/** What is asked for next, in words, and the colours of classes. */
import type { PlacedObject } from "./api";
import type { Axis, Vec3 } from "./geometry";

export const ROLES = ["inside", "left", "right", "posterior", "anterior", "inferior", "superior"];
export const MARKS: Record<string, string> = {
  inside: "●",
  left: "L",
  right: "R",
  posterior: "P",
  anterior: "A",
  inferior: "I",
  superior: "S",
};

const WHERE: Record<string, string> = {
  left: "the patient's leftmost edge, on the right of the screen",
  right: "the patient's rightmost edge, on the left of the screen",
  posterior: "the edge nearest to the back",
  anterior: "the frontmost edge",
  inferior: "the lowest edge",
  superior: "the topmost edge",
};

/** The view in which a role is easiest to place. */
export const VIEW_OF: Record<string, Axis> = {
  inside: 2,
  left: 2,
  right: 2,
  posterior: 2,
  anterior: 2,
  inferior: 1,
  superior: 1,
};

/** Okabe and Ito's colours, which people with any colour vision can tell apart. */
const COLOURS: Vec3[] = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [204, 121, 167],
  [213, 94, 0],
  [0, 114, 178],
];
export const BACKGROUND_COLOUR: Vec3 = [190, 196, 205];

export function colour(classIndex: number): Vec3 {
  return classIndex === 0 ? BACKGROUND_COLOUR : COLOURS[(classIndex - 1) % COLOURS.length];
}

export function css(rgb: Vec3, alpha = 1): string {
  return `rgba(${rgb.join(", ")}, ${alpha})`;
}

export function nextRole(item: PlacedObject): string | null {
  return ROLES.find((role) => !item.points.some((point) => point.role === role)) ?? null;
}

export function sentence(role: string, extremes: boolean): string {
  const step = `Point ${ROLES.indexOf(role) + 1} of 7`;
  if (role === "inside") return `${step}: inside the object, near its middle`;
  return `${step}: ${extremes ? "on" : "beyond"} ${WHERE[role]}`;
}

export function objectName(item: PlacedObject): string {
  return item.object_number === 1 ? item.class_name : `${item.class_name}#${item.object_number}`;
}
