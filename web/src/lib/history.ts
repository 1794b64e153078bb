import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Calibration } from "../../../dist/types.js";
import type { Conversation } from "./conversation.js";

interface Schema extends DBSchema {
  conversations: { key: string; value: Conversation; indexes: { updated: number } };
  /** By the fingerprint of the model they were measured on. */
  calibrations: { key: string; value: Calibration };
}

let database: Promise<IDBPDatabase<Schema>> | undefined;

function open(): Promise<IDBPDatabase<Schema>> {
  database ??= openDB<Schema>("deltallm", 2, {
    upgrade(db, before) {
      if (before < 1) db.createObjectStore("conversations", { keyPath: "id" }).createIndex("updated", "updated");
      if (before < 2) db.createObjectStore("calibrations");
    },
    // Another tab wants a newer version of the database.
    blocking(_current, _blocked, event) {
      (event.target as IDBDatabase).close();
      database = undefined;
    },
  });
  return database;
}

/** All conversations, the newest first. */
export async function loadAll(): Promise<Conversation[]> {
  return (await (await open()).getAllFromIndex("conversations", "updated")).reverse();
}

export async function save(conversation: Conversation): Promise<void> {
  await (await open()).put("conversations", conversation);
}

export async function remove(id: string): Promise<void> {
  await (await open()).delete("conversations", id);
}

export async function loadCalibration(model: string): Promise<Calibration | undefined> {
  return (await open()).get("calibrations", model);
}

export async function saveCalibration(model: string, calibration: Calibration): Promise<void> {
  await (await open()).put("calibrations", calibration, model);
}
