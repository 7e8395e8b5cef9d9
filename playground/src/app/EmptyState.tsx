import { Stack, Text, ThemeIcon, Title } from "@mantine/core"
import type { Icon } from "@tabler/icons-react"
import type { ReactNode } from "react"

interface Props {
  icon: Icon
  title: string
  text: string
  /** It stands for the whole page, not for a part of one. */
  isPage?: boolean
  children?: ReactNode
}

/** What a page shows where there is nothing yet: what would be here, and how to begin. */
export function EmptyState({ icon: Picture, title, text, isPage = false, children }: Props) {
  return (
    <Stack align="center" justify="center" gap="sm" py="xl" px="md" mih="50%">
      <ThemeIcon variant="light" size={56} radius="xl" aria-hidden>
        <Picture size={28} stroke={1.5} />
      </ThemeIcon>
      <Title order={isPage ? 1 : 2} size="h4" ta="center">
        {title}
      </Title>
      <Text c="dimmed" size="sm" ta="center" maw={420} style={{ textWrap: "balance" }}>
        {text}
      </Text>
      {children}
    </Stack>
  )
}
