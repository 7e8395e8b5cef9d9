import { Stack, Text, ThemeIcon, Title, UnstyledButton } from "@mantine/core"
import { IconFileSearch, IconPencil, IconPlugConnected, IconTable } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import type { Changes } from "./draft"
import { EXAMPLES } from "./examples"
import classes from "./Starters.module.css"

export type Starter = Pick<Changes, "name" | "instructions" | "tools">

const [WEATHER] = EXAMPLES

const STARTERS = [
  { key: "documents", icon: IconFileSearch, tools: [{ type: "file_search" as const }] },
  { key: "data", icon: IconTable, tools: [{ type: "code_interpreter" as const }] },
  {
    key: "functions",
    icon: IconPlugConnected,
    tools: WEATHER ? [{ type: "function" as const, function: WEATHER }] : [],
  },
] as const

/** The first visit: what an assistant could be, one press away. */
export function Starters({ onChoose, isBusy }: { onChoose: (starter: Starter) => void; isBusy: boolean }) {
  const { t } = useTranslation("assistants")
  return (
    <div className={classes.page}>
      <Stack gap={6} align="center">
        <Title order={1} size="h2" ta="center">
          {t("starters.title")}
        </Title>
        <Text c="dimmed" ta="center" maw={520}>
          {t("starters.text")}
        </Text>
      </Stack>
      <div className={classes.cards}>
        {STARTERS.map(({ key, icon: Picture, tools }) => (
          <UnstyledButton
            key={key}
            className={classes.card ?? ""}
            disabled={isBusy}
            onClick={() =>
              onChoose({
                name: t(`starters.${key}.name`),
                instructions: t(`starters.${key}.instructions`),
                tools: [...tools],
              })
            }
          >
            <ThemeIcon variant="light" size={40} radius="md" aria-hidden>
              <Picture size={22} stroke={1.6} />
            </ThemeIcon>
            <Text fw={600}>{t(`starters.${key}.title`)}</Text>
            <Text size="sm" c="dimmed">
              {t(`starters.${key}.text`)}
            </Text>
          </UnstyledButton>
        ))}
        <UnstyledButton className={classes.card ?? ""} disabled={isBusy} onClick={() => onChoose({})}>
          <ThemeIcon variant="light" color="gray" size={40} radius="md" aria-hidden>
            <IconPencil size={22} stroke={1.6} />
          </ThemeIcon>
          <Text fw={600}>{t("starters.blank.title")}</Text>
          <Text size="sm" c="dimmed">
            {t("starters.blank.text")}
          </Text>
        </UnstyledButton>
      </div>
    </div>
  )
}
