import { Stack, Text } from "@mantine/core"
import { useTranslation } from "react-i18next"
import type { Fault } from "../api/errors"
import { reasonOf } from "../api/reasons"

/** What went wrong, in one sentence of the interface's language where its reason is known, else in the server's words. */
export function useFaultWords(): (fault: Pick<Fault, "kind" | "reason" | "detail">) => string {
  const { t } = useTranslation("app")
  return ({ kind, reason, detail }) =>
    reason ? t(`errors.reason.${reason}`) : (detail ?? t(`errors.title.${kind}`))
}

/** What the server said itself: it writes English, and its words name what ours leave open. */
export function ServerWords({ children }: { children: string }) {
  return (
    <Text span display="block" size="xs" c="dimmed" lang="en" style={{ overflowWrap: "anywhere" }}>
      {children}
    </Text>
  )
}

interface Noted {
  error: { code: string; message: string }
  /** Our words where the reason is not known. */
  otherwise?: string
}

/** What the API notes of a run that failed: our words for it, and the server's beneath. */
export function NotedFault({ error: { code, message }, otherwise }: Noted) {
  const { t } = useTranslation("app")
  const reason = reasonOf(code, message)
  return (
    <Stack gap={2}>
      <Text size="sm">{reason ? t(`errors.reason.${reason}`) : otherwise}</Text>
      <ServerWords>{message}</ServerWords>
    </Stack>
  )
}

interface Small {
  fault: Pick<Fault, "reason" | "detail"> & { kind?: Fault["kind"] }
  /** Says it in a longer sentence. */
  within?: (why: string) => string
  /** `alert` where it has just happened. */
  role?: "alert"
}

/** Why one thing of several failed, in small. */
export function SmallFault({ fault, within = (why) => why, role }: Small) {
  const words = useFaultWords()
  return (
    <span role={role}>
      <Text span display="block" size="xs" c="var(--mantine-color-error)">
        {within(words({ kind: "unknown", ...fault }))}
      </Text>
      {fault.reason && fault.detail && <ServerWords>{fault.detail}</ServerWords>}
    </span>
  )
}
