import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Conversation } from "./conversation.js";

interface Schema extends DBSchema {
  conversations: { key: string; value: Conversation; indexes: { updated: number } };
}

let database: Promise<IDBPDatabase<Schema>> | undefined;

function open(): Promise<IDBPDatabase<Schema>> {
  database ??= openDB<Schema>("deltallm", 1, {
    upgrade(db) {
      db.createObjectStore("conversations", { keyPath: "id" }).createIndex("updated", "updated");
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

export async function removeAll(): Promise<void> {
  await (await open()).clear("conversations");
}
