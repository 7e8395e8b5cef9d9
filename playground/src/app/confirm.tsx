import { Text } from "@mantine/core"
import { modals } from "@mantine/modals"
import i18next from "i18next"
import { keyboardOwner } from "./focus"
import { notifyFault } from "./notify"

/** Asks before something is deleted for good. */
export function confirmDeletion(question: {
  title: string
  text: string
  onConfirm: () => Promise<unknown>
}): void {
  modals.openConfirmModal({
    title: question.title,
    children: <Text size="sm">{question.text}</Text>,
    labels: { confirm: i18next.t("app:actions.delete"), cancel: i18next.t("app:actions.cancel") },
    confirmProps: { color: "red.9" },
    onExitTransitionEnd: keyboardOwner(),
    onConfirm: () => void question.onConfirm().catch(notifyFault),
  })
}
