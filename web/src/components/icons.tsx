/** Line icons of 20 units, drawn in the text's colour. */
const paths = {
  menu: "M3 5h14M3 10h14M3 15h14",
  plus: "M10 4v12M4 10h12",
  search: "M9 4a5 5 0 1 0 0 10A5 5 0 0 0 9 4ZM13 13l4 4",
  send: "M10 16V4M5 9l5-5 5 5",
  stop: "M6 6h8v8H6Z",
  copy: "M7 7V4h9v9h-3M4 7h9v9H4Z",
  check: "M4 10.5 8.5 15 16 6",
  retry: "M15.5 8A6 6 0 1 0 16 11M16 4v4h-4",
  edit: "M4 16l1-4 8-8 3 3-8 8ZM11.5 5.5l3 3",
  forward: "M5 5l6 5-6 5ZM14 5v10",
  left: "M12 5l-5 5 5 5",
  right: "M8 5l5 5-5 5",
  down: "M5 8l5 5 5-5",
  link: "M8 12l4-4M9 6l1.5-1.5a3.2 3.2 0 0 1 4.5 4.5L13.5 10.5M11 14l-1.5 1.5A3.2 3.2 0 0 1 5 11l1.5-1.5",
  settings: "M4 6h7M15 6h1M4 14h1M9 14h7M13 4v4M7 12v4",
  trash: "M4 6h12M8 6V4h4v2M6 6l.7 10h6.6L14 6",
  download: "M10 4v9M6 9.5l4 4 4-4M4 16h12",
  upload: "M10 13V4M6 7.5l4-4 4 4M4 16h12",
  close: "M5 5l10 10M15 5 5 15",
  sun: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM10 2.5v1M10 16.500v1M2.500 10h1M16.500 10h1M4.700 4.700l.7.7M14.600 14.600l.7.7M15.300 4.700l-.7.7M5.400 14.600l-.7.7",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

/** A button that shows only an icon, with its name for screen readers and as a tip. */
export function IconButton({
  name,
  label,
  onClick,
  disabled,
  pressed,
  id,
}: {
  name: IconName;
  label: string;
  onClick: () => void;
  disabled?: boolean;
  pressed?: boolean;
  id?: string;
}) {
  return (
    <button
      type="button"
      id={id}
      class="icon-button"
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={name} />
    </button>
  );
}
